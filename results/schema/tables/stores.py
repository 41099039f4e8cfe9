"""Columns of runs.csv about the stores behind the routes, blank where a scenario has none."""

from __future__ import annotations

from loopbench.results.schema.columns import count, later, number

STORE_COLUMNS = later(
    count(
        "pool_size",
        "connections of the server's pool to the database, as the pool says; blank where none was "
        "opened",
    ),
    count(
        "pool_most_waiting",
        "most requests at once that had asked the pool for a connection and did not have it yet",
    ),
    number(
        "pool_wait_p50_us",
        "us",
        "median time from asking the pool for a connection to having it, or giving up",
    ),
    number("pool_wait_p99_us", "us", "99th percentile of the same"),
    number(
        "database_cpu_s",
        "s",
        "CPU time of all of PostgreSQL's processes between two readings, a moment after the window "
        "opens and after it closes; blank where it is on another machine, was started anew "
        "meanwhile, and for SQLite, which works inside the server",
    ),
    number(
        "database_cpu_share",
        "1",
        "the same over the time between the readings: 1 is one CPU in full",
    ),
    number(
        "redis_cpu_s", "s", "CPU time of Redis between the same readings, as it says; blank alike"
    ),
    number("redis_cpu_share", "1", "the same over the time between them"),
)
"""Results from before have none of them."""
