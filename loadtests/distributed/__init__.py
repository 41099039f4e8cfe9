"""More than one load generator: Locust's master and workers, on this machine or on others."""
