"""Redis and PostgreSQL, started on loopback for as long as they are needed."""
