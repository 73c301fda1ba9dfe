"""The command line: parse, dispatch, write. No decisions of its own."""
