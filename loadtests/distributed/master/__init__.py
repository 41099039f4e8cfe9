"""The master of several load workers: to the harness it is one load generator."""
