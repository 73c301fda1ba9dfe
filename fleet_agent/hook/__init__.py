"""The deploy hook (port 9876): gate, parse, enqueue, answer."""
