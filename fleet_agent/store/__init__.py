"""SQLite as we use it: pragmas, one writer, numbered migrations."""
