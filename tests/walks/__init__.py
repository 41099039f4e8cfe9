"""Walks through the suite: what a newcomer adds, done in a copy of the tree, with what it takes."""
