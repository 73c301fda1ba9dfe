"""A small process supervisor that stands in for systemd on the demo's nodes, and nowhere else.

It runs the very unit files of a release from a folder, as one ordinary user. It sandboxes nothing.
"""
