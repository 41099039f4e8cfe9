"""A person's own application: its loads, what it answers, and the options about it."""
