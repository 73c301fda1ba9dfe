"""The fleet's state, computed once for whoever shows it."""
