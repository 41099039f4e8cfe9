"""Walks: what an addition touches, done in a copy of the tree."""
