"""The load generator: everything that runs inside Locust's process."""
