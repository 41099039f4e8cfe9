"""thread_pools.csv: the pools of threads of a server, the loop's own executor among them."""

from __future__ import annotations

from loopbench.results.schema.columns import count, key, number, table, text

THREAD_POOLS = table(
    "thread_pools",
    "A row a Run, process and pool of threads: executors of Python's standard library (asyncio's, "
    "asgiref's, gunicorn's), waitress's and anyio's. Of the measured window.",
    key("run_id", "the Run, see runs.csv"),
    count("pid", "the process that the pool belongs to", required=True),
    key(
        "pool",
        "what its threads are called, with a number behind it where an earlier pool has that name; "
        "`asgiref`: the one thread that all synchronous code under asgiref shares; `others`: all "
        "pools of the process after its first 16 together, as where each request makes its own",
    ),
    count("threads", "the most threads that it had", required=True),
    count("thread_limit", "the most that it may have; blank where it does not say"),
    count(
        "queued_max",
        "the most calls that waited for a thread: of the loop's own executor, and of the threads "
        "of flask-gthread, counted at each call, of others looked at some thirty times a second "
        "where a loop serves, else every second of a whole Run; blank where it cannot be read, or "
        "nobody looked",
    ),
    number("queued_mean", "1", "the mean of the same over the time"),
    count("requests", "requests of the suite's routes that its threads handled", required=True),
    number(
        "wait_mean_ms",
        "ms",
        "mean wait for a thread: of a call where calls are counted, elsewhere of such a request, "
        "as queued_mean over their rate (Little's law); blank where either is not known",
    ),
    text("note", "what could not be read; blank: everything was"),
)
