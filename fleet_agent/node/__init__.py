"""What runs on a node during a deploy: standard library only, no YAML."""
