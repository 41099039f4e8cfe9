"""The two sides of a regression check: trees, environments, and what they say of themselves."""
