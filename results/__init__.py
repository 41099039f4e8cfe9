"""What was measured, and how to read it."""
