"""The Locust users, one module a kind of load."""
