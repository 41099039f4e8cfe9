"""How Questions are asked: their values, the catalogue, the processes and the rows."""
