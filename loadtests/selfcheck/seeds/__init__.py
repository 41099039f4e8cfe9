"""Applications that stall their loop on purpose, each in a way that is known beforehand."""
