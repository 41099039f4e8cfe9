"""Tasks that run beside the requests."""
