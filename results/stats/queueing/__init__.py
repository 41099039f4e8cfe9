"""The limit of an arrival rate, by models of queues."""
