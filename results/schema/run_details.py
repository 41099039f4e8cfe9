"""What a bench writes of a Run beside its row: a table a file."""

from __future__ import annotations

from loopbench.results.schema.columns import Column, Kind, Table, count, number, text

HISTOGRAMS = Table(
    "histograms",
    "Every recorded time, from the first to the last: a row a bucket that is not empty.",
    (
        text("run_id", "the Run", required=True),
        text(
            "load",
            "which of the scenario's loads; `all` for what is of the whole run",
            required=True,
        ),
        text(
            "quantity",
            "service_time, response_time (correct answers), failure_time (failed requests: send "
            "to failure), warmup_service_time (the lead-in, kept and labelled), "
            "send_lag, handler_time, first_byte (send to the arrival of an answer's first bytes), "
            "first_event (the same of a stream's first event), "
            "last_delivery (a broadcast message to the last of its receivers); of the whole run: "
            "generator_lag, loop_delay, executor_wait, executor_run, pool_wait",
            required=True,
        ),
        count(
            "upper_us",
            "the highest value that the bucket holds (inclusive)",
            unit="us",
            required=True,
        ),
        Column("count", Kind.INTEGER, "", "how many values fell into it", True, 1),
    ),
)

FAILURES = Table(
    "failures",
    "A row a Run, load and reason.",
    (
        text("run_id", "the Run", required=True),
        text("load", "which of the scenario's loads", required=True),
        text(
            "reason",
            "what was wrong, in a few words that do not vary from request to request",
            required=True,
        ),
        Column(
            "count",
            Kind.INTEGER,
            "",
            "how many requests of the measured window failed so; where saves do not add up, how "
            "many of the whole load",
            True,
            1,
        ),
        text("example", "one of them, in detail"),
    ),
)

OBSERVATIONS = Table(
    "observations",
    "Where the requests of the measured window ran: a row a Run, route, thread and loop.",
    (
        text("run_id", "the Run", required=True),
        text("route", "name of the contract's route", required=True),
        count("pid", "the server process", required=True),
        text("thread", "name of the thread that ran the handler", required=True),
        Column("is_main_thread", Kind.BOOLEAN, "", "the process's main thread", True),
        Column("is_loop_thread", Kind.BOOLEAN, "", "the thread that runs the event loop", True),
        text("loop_class", "class of the loop that was running there; blank: none was"),
        count("loop_number", "which loop, counted from 1 in the order of appearance; blank: none"),
        count("requests", "requests of the route that ended there", required=True),
        number("share", "1", "of all requests of the route in this Run", required=True),
    ),
)

THREADS = Table(
    "threads",
    "A row a Run and thread of the server that was alive at the end of the window.",
    (
        text("run_id", "the Run", required=True),
        Column("pid", Kind.INTEGER, "", "the server process it belongs to", minimum=0, later=True),
        text("thread", "name of the thread", required=True),
        number("cpu_ms", "ms", "time on a CPU since the thread began", required=True),
        number("run_queue_ms", "ms", "time runnable but waiting for a CPU", required=True),
    ),
)

TIMELINE = Table(
    "timeline",
    "A row a Run, load and second of the measured window; the last may be shorter.",
    (
        text("run_id", "the Run", required=True),
        text("load", "which of the scenario's loads", required=True),
        number("from_s", "s", "begin, since the window opened", required=True),
        number("to_s", "s", "end", required=True),
        number("throughput_rps", "1/s", "correct answers a second", required=True),
        number("response_time_p50_ms", "ms", "median of the answers of this second"),
        number("response_time_p99_ms", "ms", "99th percentile of the answers of this second"),
        count("failures", "failed requests", required=True),
        number("server_cpu_utilisation", "1", "CPU time of the server over wall time"),
        count("rss_bytes", "resident memory at the end of this second", unit="bytes"),
        count("threads", "threads of the server at the end of this second"),
        number("loop_delay_p99_ms", "ms", "99th percentile of the loop delay in this second"),
        number("loop_utilisation", "1", "share of this second outside the selector's wait"),
        count("executor_queue", "calls waiting for a thread at the end of this second"),
    ),
)
