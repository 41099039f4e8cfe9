"""Warnings in words: what happened, what it means for which number, what to do.

The measuring half writes codes into runs.csv; the numbers in the words are those of the constants
by which it checks a Run. WORDING holds those of `reading_warnings`, too.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from loopbench.results.schema.reading_warnings import READING_WORDS
from loopbench.results.schema.wording import LOAD_TIMES, Wording

GENERATOR_CPU_LIMIT = 0.90
"""Share of its CPU from which on the generator may have been the limit."""

GENERATOR_LAG_LIMIT_MS = 5.0
"""99th percentile of the generator's lateness; the usual reading is below 1 ms."""

GENERATOR_SHARE_LIMIT = 0.25
"""Share of a user's cycle from answer to answer that the generator itself may take."""

RATE_TOLERANCE = 0.05
FEWEST_MISSED = 3
"""Of a slow stream one request that is under way as the window closes is a large share."""

LITTLE_TOLERANCE = 0.10
CLOCK_STEP_LIMIT_MS = 1.0
MACHINE_BUSY_LIMIT = 0.10
"""CPUs that others may use beside server and generator."""

GROWTH_LIMIT_BYTES = 1024
GROWTH_LIMIT_WHOLE_BYTES = 16 * 1024 * 1024
"""Growth of memory a request, and in all, from which on it is no mere settling of the allocator."""

ONE_THREAD_QUEUE = 1.0
"""Calls that wait for the only thread of a pool, on average, from which on it is the limit."""

PROBE_CPU = 0.025
PROBE_SHARE_LIMIT = 0.1
"""Share of a CPU that a watching probe takes of an idle server at most (16 to 27 ms a second on two
machines), and the share of a server's CPU time that it may be."""

FEW_REQUESTS = 100
"""A p99 of fewer requests is their maximum."""

SPEED_TOLERANCE = 0.25
"""How much a fixed piece of work may take longer, or shorter, after the load than before."""

SLICES_SHORT_LIMIT = 0.5
"""Of the window of a Slice, what its users may take to their first answers; usual is a fifth."""

WORKER_LATE_LIMIT_MS = 10.0
"""How late after the agreed instant a worker may begin; the usual reading is below 1 ms."""

WORKER_SILENT_AFTER_S = 3.5
"""Locust's workers report every second; so long without a word is a gap in the link."""

WARNING_SEPARATOR = ";"


class Code(enum.StrEnum):
    """Why a row should not be believed, or not without thought."""

    GENERATOR_CPU = "generator-cpu"
    GENERATOR_LAG = "generator-lag"
    RATE_MISSED = "rate-missed"
    LITTLES_LAW = "littles-law"
    FAILURES = "failures"
    LEAD_IN_FAILURES = "lead-in-failures"
    CLOCK_STEPPED = "clock-stepped"
    CLOCK_USER = "clock-user"
    MACHINE_BUSY = "machine-busy"
    MACHINE_SPEED = "machine-speed"
    ONE_CPU = "one-cpu"
    CPUS_SHARED = "cpus-shared"
    NOT_PINNED = "not-pinned"
    ENVIRONMENT_DRIFT = "environment-drift"
    UNEQUAL_TERMS = "unequal-terms"
    NOT_VERIFIED = "not-verified"
    SERVER_NOT_READY = "server-not-ready"
    SERVER_DIED = "server-died"
    SERVER_NOT_READABLE = "server-not-readable"
    PROBE_FAILED = "probe-failed"
    GENERATOR_DIED = "generator-died"
    STOP_KILLED = "stop-killed"
    SAVES_DIFFER = "saves-differ"
    SAVES_UNCHECKED = "saves-unchecked"
    FEW_REQUESTS = "few-requests"
    ANSWER_VARIES = "answer-varies"
    MEMORY_GROWS = "memory-grows"
    ONE_THREAD = "one-thread"
    PROBE_SHARE = "probe-share"
    WORKER_LOST = "worker-lost"
    WORKER_LATE = "worker-late"
    WORKER_SILENT = "worker-silent"
    WORKERS_SHARE_CPUS = "workers-share-cpus"
    UPSTREAM_DIED = "upstream-died"
    PARKED_BUSY = "parked-busy"
    SLICES_SHORT = "slices-short"
    CPU_THROTTLED = "cpu-throttled"


_WORDS: dict[str, Wording] = {
    Code.GENERATOR_CPU: Wording(
        f"the load generator used {GENERATOR_CPU_LIMIT:.0%} of its CPU or more, or took "
        f"{GENERATOR_SHARE_LIMIT:.0%} or more of each user's cycle from answer to answer",
        "throughput is what the generator could do, not the server, and the times are those of a "
        "server that was not fully loaded",
        "read CPU per request instead, give the generator a faster or a free CPU, or offer fewer "
        "users",
        LOAD_TIMES,
        disqualifies=True,
        short="the load generator was the limit, not the server; read CPU a request",
    ),
    Code.GENERATOR_LAG: Wording(
        f"the load generator's own timers were late by {GENERATOR_LAG_LIMIT_MS:g} ms or more at "
        "the 99th percentile",
        "requests were sent late and in bunches; service times read from the kernel's clock hold, "
        "but queues in the server may come from the bunches",
        "close whatever else uses the generator's CPU, and measure again",
        LOAD_TIMES,
        short="requests were sent late and in bunches, which may lengthen their times",
    ),
    Code.RATE_MISSED: Wording(
        f"more than {RATE_TOLERANCE * 100:g} % of the scheduled arrivals, and at least "
        f"{FEWEST_MISSED}, failed or piled up over the window (`backlog_growth_share`, where it is "
        "more than chance leaves)",
        "the stack cannot hold this rate: its response times grow for as long as the load lasts, "
        "so they say how long it lasted rather than how fast the stack is",
        "read it as 'overloaded at this rate'; for times, offer a rate that it holds",
        ("throughput", "response_time"),
        disqualifies=True,
        short="it does not hold this rate; its times say how long the load lasted",
    ),
    Code.LITTLES_LAW: Wording(
        "users, throughput and response time contradict Little's law by more than "
        f"{LITTLE_TOLERANCE * 100:g} %",
        "the load had not settled within the window, or one of throughput and response time is "
        "wrong",
        "warm up and measure for longer; if it stays, report it as an error of the suite",
        LOAD_TIMES,
        disqualifies=True,
        short="the load had not settled, or one of the figures is wrong",
    ),
    Code.LEAD_IN_FAILURES: Wording(
        "requests outside of the measured window failed, or hung until its end: those of the "
        "lead-in, or while the probe watched",
        "the window began on a server that was not all right; what is in it may be few requests, "
        "or none",
        "look into log.txt of the run, and try the request by hand",
        short="requests outside of the window failed; few may be in it, or none",
    ),
    Code.FAILURES: Wording(
        "requests failed: a wrong answer, a broken connection, or none in time",
        "times and throughput count correct answers only, so a stack that fails fast looks neither "
        "slow nor busy",
        "look at failures.csv for the reasons before comparing anything",
        short="requests failed; times and throughput are of the right answers only",
    ),
    Code.CLOCK_STEPPED: Wording(
        "the wall clock, which stamps arriving bytes, was set during the window, by "
        f"{CLOCK_STEP_LIMIT_MS:g} ms or more",
        "times that were under way then are wrong by the size of the step",
        "keep time synchronisation still while measuring, and measure again",
        ("service_time", "response_time", "after_handler", "before_handler"),
        disqualifies=True,
    ),
    Code.CLOCK_USER: Wording(
        "there were no kernel receive timestamps: the platform gave none, or the clients of a "
        "locustfile took the times",
        "service and response times contain the generator's own delay in reading an answer",
        "compare only with runs of the same clock; Linux has the kernel's timestamps",
        ("service_time", "response_time", "after_handler"),
        minor=True,
    ),
    Code.MACHINE_BUSY: Wording(
        f"other programs, or the hypervisor, took {MACHINE_BUSY_LIMIT:g} of a CPU or more",
        "all figures are noisier, and times and throughput worse than they would be",
        "close what runs beside it; where nothing does, the host is busy: try another hour",
        minor=True,
        short="others, or the hypervisor, used the CPUs, too; figures are noisier, and worse",
    ),
    Code.MACHINE_SPEED: Wording(
        "a fixed piece of work took longer, or shorter, after the load than before, by more than "
        f"{SPEED_TOLERANCE * 100:g} %",
        "the CPU changed its speed during the Run (heat, power saving, a neighbour on the same "
        "host), and with it throughput, times and CPU per request",
        "let the machine cool and settle, take more Rounds, and trust ratios within a Round more "
        "than absolute figures",
        minor=True,
        short="the CPU changed its speed during the Runs; trust ratios more than figures",
    ),
    Code.ONE_CPU: Wording(
        "server and generator shared a single CPU",
        "throughput is that of both together, and times contain the wait for each other",
        "use a machine with two or more CPUs; CPU per request holds even here",
        (*LOAD_TIMES, "loop_delay", "generator", "send_lag"),
        short="server and generator shared a CPU; only CPU a request holds",
    ),
    Code.CPUS_SHARED: Wording(
        "the server ran as more processes than it had CPUs",
        "they took turns on the same CPUs: the figures show what more processes cost, not what "
        "they gain on a machine that has a CPU for each",
        "for scaling, measure on a machine with a CPU for each process and one for the load",
        (*LOAD_TIMES, "loop_delay"),
        short="its processes shared CPUs: what more of them cost, not what they gain",
    ),
    Code.NOT_PINNED: Wording(
        "server and generator could not be bound to CPUs of their own",
        "they may have run on each other's CPU now and then: more spread, later tails",
        "measure where the platform can bind processes (Linux), or take more Rounds",
        minor=True,
    ),
    Code.ENVIRONMENT_DRIFT: Wording(
        "machine, versions or settings differ from those the folder was begun with",
        "this Run and the earlier ones measured different things",
        "measure again from the beginning into a new folder",
        disqualifies=True,
    ),
    Code.UNEQUAL_TERMS: Wording(
        "a setting in force in the server is not that of the other stacks, for no known reason",
        "the stacks were not measured on equal terms: a difference between them may be the "
        "setting's",
        "see the table of parity in the report's section on the environment; set it equal, or add "
        "the reason to the stack's row",
        short="a setting is not that of the others; the difference may be its",
    ),
    Code.NOT_VERIFIED: Wording(
        "the server's answers broke the contract before the load began, or a person's own "
        "application answered otherwise than before the bench, so it was not loaded",
        "there are no figures of this Run",
        "correct the stack; `python -m servers run STACK` shows its answers. Of an application "
        'whose answers change now and then, check = "status" in its loads file',
        disqualifies=True,
    ),
    Code.SERVER_NOT_READY: Wording(
        "the server did not become ready",
        "there are no figures of this Run",
        "log.txt in the results folder has the server's last words",
        disqualifies=True,
    ),
    Code.SERVER_DIED: Wording(
        "the server ended under load",
        "the figures of this Run cover a part of its window, or are missing",
        "log.txt in the results folder has the server's last words",
        disqualifies=True,
    ),
    Code.UPSTREAM_DIED: Wording(
        "the other server, whose pages the server was to fetch, ended under load",
        "what was answered before that stands; from then on every answer was a 502",
        "log.txt in the results folder has its last words; failures.csv counts the answers",
    ),
    Code.PARKED_BUSY: Wording(
        "a server used more than 0.2 % of a CPU while the load was at the others",
        "it took that from them: their throughput is a little too low, their times too long",
        "look for timers and threads of its own that run without a request",
        short="it used CPU while others were measured, and made them a little slower",
    ),
    Code.SLICES_SHORT: Wording(
        "until every user had its first answer took longer, in the middle one of the Slices, than "
        f"{SLICES_SHORT_LIMIT:.0%} of the window behind it",
        "few of a user's answers fall into a window, or none, so that how many do is luck",
        "measure in longer Slices, by a larger number behind --slice, or in whole Runs, without it",
        LOAD_TIMES,
        disqualifies=True,
        short="answers take too long for the Slices; give --slice more, or leave it out",
    ),
    Code.SERVER_NOT_READABLE: Wording(
        "the server did not answer when it was asked for its CPU time and memory, or the bench "
        "asked it too late",
        "CPU, memory and what the probe saw are missing or cover another window",
        "measure again; a server that holds the GIL for seconds cannot answer, and a bench that is "
        "stopped (Ctrl-Z) does not ask",
        ("cpu_us", "server_cpu", "rss", "loop_", "executor_", "gc_", "threads"),
    ),
    Code.PROBE_FAILED: Wording(
        "the probe inside the server failed during the window",
        "loop delay, utilisation, executor wait and collector pauses are missing or cover a part "
        "of the window",
        "log.txt in the results folder has the reason",
        ("loop_", "executor_", "gc_", "handler_", "before_handler", "in_handler", "tasks"),
        short="readings inside the server are missing, or of a part of the window",
    ),
    Code.GENERATOR_DIED: Wording(
        "the load generator ended in the middle of the Run",
        "there are no figures of this Run from the generator",
        "log.txt in the results folder has its last words; measure again",
        disqualifies=True,
    ),
    Code.STOP_KILLED: Wording(
        "the server did not stop within the bound and was killed",
        "its time to stop is the bound, not a measurement; the figures under load hold",
        "see what it waits for: a connection or a request that never ends",
        ("stop_ms", "exit_code"),
    ),
    Code.SAVES_DIFFER: Wording(
        "what the database holds after the load is not what the clients were told",
        "saves were lost, doubled or half done: the stack, or the database, is wrong, however fast "
        "it was",
        "failures.csv has what is wrong and by how much; see that nothing else writes to the same "
        "database meanwhile",
        disqualifies=True,
        short="saves were lost, doubled or half done, however fast it was",
    ),
    Code.SAVES_UNCHECKED: Wording(
        "the saves could not be held against the database, before the load or after it",
        "whether each answered save is there is not known",
        "see that the database is there before the load and after it; where a server is several "
        "processes, each with an embedded database of its own, name one with --database",
        ("failures",),
    ),
    Code.FEW_REQUESTS: Wording(
        f"fewer than {FEW_REQUESTS} requests were measured",
        "high percentiles are single requests",
        "measure for longer",
        (*LOAD_TIMES, "handler_time"),
        minor=True,
    ),
    Code.ANSWER_VARIES: Wording(
        "the application answered with other bytes from asking to asking, before the load",
        "under load the status of each such answer was checked, and not what is in it; its content "
        "type was checked before each load",
        "name a path with a constant answer where every byte is to be checked",
        ("failures",),
        short="its answers vary: their status was checked, and not what is in them",
    ),
    Code.PROBE_SHARE: Wording(
        f"the server used so little CPU time that more than {PROBE_SHARE_LIMIT:.0%} of it may be "
        "the probe's",
        "CPU time a request is too high, the same for each stack, and its ratio too near to 1",
        "measure with --no-probe; for stacks of the suite that one generator loads, --rounds and "
        "without a budget help, too: it is then read while the probe rests",
        ("cpu_us_per_request", "server_cpu_utilisation"),
        short="CPU time a request holds the probe's, and its ratio is too near to 1",
    ),
    Code.MEMORY_GROWS: Wording(
        "the application's memory grew with its requests: by more than "
        f"{GROWTH_LIMIT_BYTES / 1024:g} KiB each, and by more than "
        f"{GROWTH_LIMIT_WHOLE_BYTES / 1024**2:g} MiB in the window",
        "it keeps something of each request, or fills a cache that is not full yet; a Run that "
        "lasts long enough ends with its memory",
        "measure for longer: where the growth a request stays the same, look for what is kept "
        "(tracemalloc); where it falls, warm the cache up by a longer --warmup",
        ("memory_growth",),
        short="its memory grows with its requests; a long Run ends with it",
    ),
    Code.ONE_THREAD: Wording(
        f"{ONE_THREAD_QUEUE:g} or more requests were waiting, on average, for a pool of the "
        "application that has a single thread",
        "that thread is the limit: it works on one request after another, whatever the server and "
        "the loop could do, and the waits are in the times",
        "thread_pools.csv names the pool; of a WSGI application under asgiref's wrapper, which has "
        "one thread for all, a2wsgi.WSGIMiddleware(app, workers=10) uses several",
        LOAD_TIMES,
        short="requests waited for the one thread of a pool, which was the limit",
    ),
    Code.WORKER_LOST: Wording(
        "a load worker was lost in the middle of the Run",
        "a part of the load stopped there: throughput and times are those of another load than the "
        "scenario's",
        "workers.csv has its number, its host and why; start it again, and go on with the folder "
        "by `bench --resume` or measure again",
        disqualifies=True,
        short="a part of the load stopped: it is another load than the scenario's",
    ),
    Code.WORKER_LATE: Wording(
        f"a load worker began more than {WORKER_LATE_LIMIT_MS:g} ms after the instant that all had "
        "agreed on",
        "the first moments of the lead-in had less load than the scenario says; where the lead-in "
        "is short, the window too",
        "workers.csv has how late each was; look for what keeps its CPU, or warm up for longer",
        LOAD_TIMES,
        short="the beginning had less load than the scenario says",
    ),
    Code.WORKER_SILENT: Wording(
        f"nothing was heard of a load worker for {WORKER_SILENT_AFTER_S:g} s or more, and then it "
        "was there again",
        "the link to it, or the worker, stood still; where the load takes the same way, its times "
        "hold that stall, and it is not the server's",
        "workers.csv has how long; timeline.csv has the seconds; measure again",
        LOAD_TIMES,
        disqualifies=True,
        short="the link, or a load worker, stood still, which is in the times",
    ),
    Code.WORKERS_SHARE_CPUS: Wording(
        "there are more load workers on this machine than CPUs for them",
        "they wait for each other, which shows as generator lag, and add no load that one worker a "
        "CPU would not",
        "ask for as many workers as there are CPUs beside the server's, or use more machines",
        (*LOAD_TIMES, "generator", "send_lag"),
        short="load workers waited for each other, and added no load",
    ),
    Code.CPU_THROTTLED: Wording(
        "a CPU quota stopped the processes of this bench during the load",
        "they stood still until the next period, mostly some tens of ms: the highest percentiles "
        "show the quota, and throughput what it allows",
        "environment.json has the quota (`cpu_quota`); take it away, or raise it above what server "
        "and generator use together",
        (*LOAD_TIMES, "generator", "send_lag"),
        short="a CPU quota stopped it now and then, which is in the figures",
    ),
}
WORDING: Mapping[str, Wording] = MappingProxyType(_WORDS | READING_WORDS)

_UNKNOWN = Wording(
    "the rows carry a Warning that this version does not know",
    "which figures are in doubt is not known",
    "read the folder with the version that wrote it",
    disqualifies=True,
)


def wording(code: str) -> Wording:
    """The words for a code; for one that is not in the table, words that say so."""
    return WORDING.get(code, _UNKNOWN)
