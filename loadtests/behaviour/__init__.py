"""What each stack really does, asked by experiment: Questions, a file each, by topic."""
