"""The fleet's registry: schema, parse, lookup."""
