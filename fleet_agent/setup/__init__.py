"""First steps: init, bootstrap, promote, demo."""
