"""What is measured of each side, one module a layer of the check."""
