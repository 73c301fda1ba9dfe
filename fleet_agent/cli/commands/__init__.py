"""One file a noun: its parser and its handler."""
