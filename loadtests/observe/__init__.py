"""What is read of the server, the machine and the stores while a load runs, and instruction counts."""
