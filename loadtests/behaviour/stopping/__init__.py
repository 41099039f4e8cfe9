"""How a server stops, and what it does to those who are still there."""
