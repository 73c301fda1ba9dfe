"""Wiring, one module per systemd unit."""
