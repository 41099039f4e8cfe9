"""What becomes of a request whose client leaves."""
