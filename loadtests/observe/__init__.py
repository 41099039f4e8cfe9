"""What is read of the server, the machine and the stores during a load; counts of instructions."""
