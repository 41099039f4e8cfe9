"""A bench from the plan to the rows: its Runs, the checks before a load, and its environment."""
