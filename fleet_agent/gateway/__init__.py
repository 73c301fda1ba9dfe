"""Thin handlers of the gateway (port 8646)."""
