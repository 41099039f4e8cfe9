"""How a server starts, and what happens where it cannot."""
