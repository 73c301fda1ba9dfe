"""What Git servers send and want."""
