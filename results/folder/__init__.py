"""Results folders: finding them, and reading what is in them as far as it can be read."""
