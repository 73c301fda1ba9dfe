"""Messages: envelope, validation, inbox."""
