"""The highest arrival rate at which an objective holds: offered, in turn, to all stacks."""
