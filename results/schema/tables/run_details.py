"""What a bench writes of a Run beside its row: a table a file."""

from __future__ import annotations

from loopbench.results.schema.columns import count, flag, key, number, ordinal, table, text

HISTOGRAMS = table(
    "histograms",
    "Every recorded time, from the first to the last: a row a bucket that is not empty.",
    key("run_id", "the Run"),
    key("load", "which of the scenario's loads; `all` for what is of the whole run"),
    key(
        "quantity",
        "service_time, response_time (correct answers), failure_time (failed requests: send to "
        "failure), warmup_service_time (the lead-in, kept and labelled), send_lag, handler_time, "
        "first_byte (send to the arrival of an answer's first bytes), first_event (the same of a "
        "stream's first event), last_delivery (a broadcast message to the last of its receivers); "
        "of the whole run: generator_lag, loop_delay, executor_wait, executor_run, pool_wait",
    ),
    count(
        "upper_us", "the highest value that the bucket holds (inclusive)", unit="us", required=True
    ),
    ordinal("count", "how many values fell into it"),
)

FAILURES = table(
    "failures",
    "A row a Run, load and reason.",
    key("run_id", "the Run"),
    key("load", "which of the scenario's loads"),
    key("reason", "what was wrong, in a few words that do not vary from request to request"),
    ordinal(
        "count",
        "how many requests of the measured window failed so; where saves do not add up, how many "
        "of the whole load",
    ),
    text("example", "one of them, in detail"),
)

OBSERVATIONS = table(
    "observations",
    "Where the requests of the measured window ran: a row a Run, route, thread and loop.",
    key("run_id", "the Run"),
    key("route", "name of the contract's route"),
    count("pid", "the server process", required=True),
    key("thread", "name of the thread that ran the handler"),
    flag("is_main_thread", "the process's main thread", required=True),
    flag("is_loop_thread", "the thread that runs the event loop", required=True),
    text("loop_class", "class of the loop that was running there; blank: none was"),
    count("loop_number", "which loop, counted from 1 in the order of appearance; blank: none"),
    count("requests", "requests of the route that ended there", required=True),
    number("share", "1", "of all requests of the route in this Run", required=True),
)

THREADS = table(
    "threads",
    "A row a Run and thread of the server that was alive at the end of the window.",
    key("run_id", "the Run"),
    count("pid", "the server process it belongs to", later=True),
    key("thread", "name of the thread"),
    number("cpu_ms", "ms", "time on a CPU since the thread began", required=True),
    number("run_queue_ms", "ms", "time runnable but waiting for a CPU", required=True),
)

TIMELINE = table(
    "timeline",
    "A row a Run, load and second of the measured window; the last may be shorter.",
    key("run_id", "the Run"),
    key("load", "which of the scenario's loads"),
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
)
