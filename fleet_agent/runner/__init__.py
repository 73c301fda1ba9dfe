"""Runs what a release declares, by name: one program a connection, boxed in, killed at its end."""
