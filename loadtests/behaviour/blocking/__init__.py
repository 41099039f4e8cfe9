"""What blocking code does to everyone else."""
