"""Centres and intervals of values, and ratios from Slices."""
