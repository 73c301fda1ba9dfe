"""Releases as values: manifest, tree, fingerprint, diff. Shared by deploy and node."""
