"""What a bench measures of a Run: runs.csv."""

from __future__ import annotations

from collections.abc import Mapping

from loopbench.results.schema.columns import (
    Column,
    Kind,
    count,
    flag,
    key,
    later,
    number,
    ordinal,
    signed,
    table,
    text,
)
from loopbench.results.schema.tables.scenarios import SCENARIO_COLUMNS
from loopbench.results.schema.tables.stores import STORE_COLUMNS

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}


_TWO = {"p50": "median", "p99": "99th percentile"}
_SOME = {**_TWO, "max": "maximum"}
_ALL = {
    "mean": "mean",
    **{short: f"{percent:g}th percentile" for short, percent in PERCENTILES.items()},
    "max": "maximum",
}


def _each(
    statistics: Mapping[str, str], quantity: str, unit: str, meaning: str, *, later: bool = False
) -> tuple[Column, ...]:
    """A column a statistic of a quantity. meaning: with {} for what the statistic is called."""
    return tuple(
        number(f"{quantity}_{short}_{unit}", unit, meaning.format(long), later=later)
        for short, long in statistics.items()
    )


_DELIVERIES = later(
    number(
        "connections_rps",
        "1/s",
        "connections with a right answer a second, where every request or message has its own",
    ),
    number(
        "last_delivery_p50_ms",
        "ms",
        "broadcast: median of a message's publication to its arrival at the last receiver",
    ),
    number("last_delivery_p99_ms", "ms", "broadcast: 99th percentile of the same"),
    count(
        "deliveries_owed",
        "broadcast: accepted publications of the window times receivers; pushed: messages that "
        "were due in it",
    ),
    count("deliveries_lost", "those of them that never came"),
    count(
        "receivers_dropped",
        "broadcast: connections that the server by its own count gave up as too slow",
    ),
)

RUNS = table(
    "runs",
    "A row a Run and load, written as soon as the Run ends.",
    key("run_id", "Round, stack and scenario of the Run; the key of every other table"),
    ordinal("round", "Round, from 1"),
    ordinal("position", "place of the Run in the shuffled order of the whole plan, from 1"),
    key("stack", "what was measured"),
    key("scenario", "the load that was offered"),
    key("load", "which of the scenario's loads this row is about; `main` where there is one"),
    *SCENARIO_COLUMNS,
    ordinal(
        "processes",
        "how many server processes shared the port; what is read of them is summed",
        required=False,
        later=True,
        before=1,
    ),
    key("started_at", "when the server was started, ISO 8601, UTC"),
    key(
        "load_model",
        "closed (users), open (arrival rate), idle (connections held open), slow (connections that "
        "read little or nothing), stream (connections that read the events of an answer that need "
        "not end, of which each counts as a request; its service time is the time since the event "
        "before), locustfile (users of a person's own, by Locust's clients and clock); of "
        "WebSockets: echo (users), pushed (connections) or broadcast (connections and the "
        "publisher)",
    ),
    count("users", "closed: users; open: the most connections; idle: connections", required=True),
    number(
        "arrival_rate_rps",
        "1/s",
        "open: the mean rate of the Poisson arrivals; blank in a closed loop",
    ),
    number(
        "think_s",
        "s",
        "closed: mean time that a user waits after an answer; blank: it sends at once",
        later=True,
    ),
    count("request_body_bytes", "body of each request of this load", unit="bytes", later=True),
    count(
        "answer_body_bytes",
        "body of each right answer; blank where it varies",
        unit="bytes",
        later=True,
    ),
    number("warmup_s", "s", "length of the discarded lead-in, ramp-up included"),
    number("measured_s", "s", "length of the measured window"),
    number(
        "watched_s",
        "s",
        "how long the probe watched: the measured window of a whole Run; the watched Slice, "
        "lead-in included, of a Run in Slices",
        later=True,
    ),
    count("requests", "requests that began in the measured window, however they ended"),
    count(
        "failures",
        "those of them that failed: wrong answer, broken connection or no answer in time",
    ),
    number(
        "throughput_rps", "1/s", "correct answers completed inside the measured window, a second"
    ),
    signed(
        "backlog_growth_share",
        "1",
        "open: by how many the requests that were due and had not ended grew over the window, of "
        "the arrivals meanwhile: the fewest of its last quarter less the fewest of its second, "
        "over the arrivals between the middles of the two; near 0 where the rate is held, below it "
        "where fewer and fewer were under way",
        later=True,
    ),
    *_each(
        _ALL,
        "service_time",
        "ms",
        "{} of actual send to the last byte reaching the client's kernel, correct answers",
    ),
    *_each(
        _ALL,
        "response_time",
        "ms",
        "{} of intended start to the same instant; the generator's own lateness is not in it",
    ),
    *_each(
        _TWO,
        "first_byte",
        "us",
        "{} of the actual send to the arrival of the answer's first bytes, correct answers; blank "
        "where the load does not ask for it",
        later=True,
    ),
    *_each(
        _TWO,
        "first_event",
        "ms",
        "stream: {} of the actual send to the arrival of the answer's first event, of all answers, "
        "those that began in the lead-in included",
        later=True,
    ),
    *_DELIVERIES,
    text("clock", "kernel (receive timestamps) or user (the generator's own reading)"),
    number(
        "cpu_us_per_request",
        "us",
        "CPU time of the server process over all its threads, a completed request of any load",
    ),
    number(
        "server_cpu_utilisation",
        "1",
        "CPU time of the server process over wall time; above 1 on several CPUs",
    ),
    number(
        "rested_s",
        "s",
        "of a whole Run: how long the load was offered once more with the probe at rest, which "
        "both CPU figures are read from; blank where they are of the measured window",
        later=True,
    ),
    count(
        "rss_peak_bytes",
        "highest resident memory of the server process, up to the end of the window",
        unit="bytes",
    ),
    number(
        "upstream_cpu_utilisation",
        "1",
        "CPU time over wall time of the other server, whose pages the server fetches; it runs on "
        "the generator's CPUs; blank where there is none",
        later=True,
    ),
    number(
        "generator_cpu_utilisation",
        "1",
        "CPU time of the generator process over wall time in the window",
    ),
    number(
        "generator_lag_p99_ms",
        "ms",
        "99th percentile of the lateness of a 10 ms timer inside the generator",
    ),
    number(
        "send_lag_p99_ms",
        "ms",
        "open loop: 99th percentile of the generator's own lateness in sending",
    ),
    number("start_ms", "ms", "start of the process to its word that it listens"),
    number("first_answer_ms", "ms", "start of the process to the first correct answer"),
    number("stop_ms", "ms", "request to stop gracefully to the end of the process"),
    Column(
        "exit_code",
        Kind.INTEGER,
        "",
        "exit status of the server process; negative: ended by that signal",
    ),
    flag("killed", "true where the process had to be killed at the bound"),
    number(
        "calibration_ms",
        "ms",
        "a fixed piece of work on the server's CPU, mean of before and after the load",
    ),
    text("loop_class", "class of the event loop that the probe watched"),
    *_each(_SOME, "loop_delay", "ms", "{} of the lateness of a 10 ms timer on the server's loop"),
    number(
        "loop_utilisation",
        "1",
        "share of wall time that the loop did not wait for events; blank where it cannot be read",
    ),
    text(
        "loop_utilisation_read_by",
        "how: `selector`, which notes its waits; `libuv`, which counts those of uvloop; or "
        "`schedstat`: the loop's thread was on a CPU, waited for one, or was held in a stall. Its "
        "waits of less than 5 ms for a lock or a file count as idle there",
        later=True,
    ),
    number("loop_longest_stretch_ms", "ms", "longest time without a return to the selector's wait"),
    count(
        "tasks_max", "most tasks alive on the loop, looked at every 100 ms", heading="most tasks"
    ),
    count(
        "tasks_created",
        "tasks that asyncio created between two looks near the edges of the window, 100 ms apart "
        "at most; of those without a name of their own",
        later=True,
    ),
    number(
        "task_oldest_ms",
        "ms",
        "age, to 100 ms, of the oldest task that was created in the window and was alive at its "
        "end; blank where there was none",
        later=True,
    ),
    text(
        "task_oldest_graph",
        "what that task waits for: the innermost task, with the frames in which it waits, and "
        "those that wait for it, ` < ` between them; blank before Python 3.14",
        later=True,
    ),
    count(
        "task_exceptions_unread",
        "tasks that ended by an exception which nobody read before they were gone",
        later=True,
    ),
    number("executor_wait_mean_ms", "ms", "mean of submit to start of an executor's call"),
    *_each(_SOME, "executor_wait", "ms", "{} of submit to start of a call"),
    count("executor_threads_max", "threads that the executor had started by the end"),
    count("executor_queue_max", "most calls waiting for a thread, looked at after each submit"),
    number("handler_time_p50_ms", "ms", "median time inside the load's route"),
    number("handler_time_p99_ms", "ms", "99th percentile of the time inside the load's route"),
    number(
        "before_handler_mean_ms",
        "ms",
        "mean time from the send to the begin of the handler: socket, loop and executor",
    ),
    number("in_handler_mean_ms", "ms", "mean time inside the handler, of the same requests"),
    number(
        "after_handler_mean_ms",
        "ms",
        "mean time from the end of the handler to the last byte; the three parts add up to the "
        "mean service time",
    ),
    count("gc_pauses", "pauses of the server's garbage collector, all generations"),
    number("gc_pause_total_ms", "ms", "their length together"),
    number("gc_pause_max_ms", "ms", "the longest of them; 0 where there was none"),
    count("threads_max", "most threads of the server process, the control thread included"),
    count("voluntary_switches", "context switches of the server that it asked for (waiting)"),
    count("involuntary_switches", "context switches of the server that were forced on it"),
    count("rss_start_bytes", "resident memory before the load connected", unit="bytes"),
    count("rss_end_bytes", "resident memory at the end of the window", unit="bytes"),
    count(
        "rss_after_bytes",
        "resident memory a second after the load had closed its connections; blank where the "
        "scenario does not wait for that",
        unit="bytes",
    ),
    signed(
        "memory_growth_bytes_per_request",
        "bytes",
        "growth of resident memory over the window / requests answered in it, of a person's own "
        "application; negative where it shrank, blank of other servers",
    ),
    count("descriptors_start", "open descriptors of the server before the load connected"),
    count("descriptors_end", "open descriptors at the end of the window"),
    count("descriptors_after", "open descriptors at the time of rss_after_bytes"),
    *STORE_COLUMNS,
    text("warnings", "codes of loopbench.results.schema.warnings, `;` between; blank: none"),
)
