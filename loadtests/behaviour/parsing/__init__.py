"""What is read from a connection, how much of it, and for how long."""
