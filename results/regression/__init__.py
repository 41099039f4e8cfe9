"""Judging a regression check: what was measured of two sides, in three layers, and the verdict."""
