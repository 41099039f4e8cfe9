"""Whether answers are right, and whose a failure is."""
