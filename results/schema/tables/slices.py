"""slices.csv: what each visit of the load to a server did, in Runs that were measured in Slices."""

from __future__ import annotations

from loopbench.results.schema.columns import count, flag, key, number, ordinal, table

SHORT_WORK = number(
    "short_work_us",
    "us",
    "a short piece of fixed work on the servers' CPU, done every few milliseconds meanwhile, by "
    "the mean of its speeds: how fast that CPU was; blank where servers have more than one, of "
    "open loops and of one user where idle CPUs may sleep, and in older folders",
    later=True,
)
"""Of any table with a row a Slice."""

STOLEN = number(
    "stolen_share",
    "",
    "share of the window for which the hypervisor ran others in place of the servers' CPUs, as it "
    "tells, in steps of 10 ms; blank where servers have no CPUs of their own, of open loops, and "
    "in older folders",
    later=True,
)
"""Of any table with a row a Slice."""

SLICES = table(
    "slices",
    "A row a Slice: one visit of the load to one server while the servers of all stacks of the "
    "scenario were alive. Runs of scenarios that are not measured in Slices have none.",
    key("run_id", "the Run that the Slice belongs to, see runs.csv"),
    ordinal("turn", "Turn within the Block, from 1"),
    ordinal("position", "place of the Slice within its Turn, from 1"),
    flag(
        "watched",
        "whether the probe watched, so that its cost is in the Slice and no figure of runs.csv is "
        "taken from it; blank in older folders, where it watched in each Slice",
        later=True,
    ),
    number("started_s", "s", "begin of the Slice after the users of the Block were connected"),
    number(
        "lead_in_s",
        "s",
        "before the window opened: in a closed loop until every user had its first answer",
    ),
    number(
        "seconds",
        "s",
        "length of the counted window; in a closed loop from a user's last answer before it opened "
        "to its last before it closed, the mean over the users",
    ),
    count("requests", "right answers that were complete inside the window"),
    count("failures", "failed requests of the whole Slice"),
    number("throughput_rps", "1/s", "requests over seconds"),
    number(
        "cpu_us_per_request",
        "us",
        "CPU time of the server in the window over the right answers, both a second; read on the "
        "server's own CPU, blank where that cannot be",
    ),
    number("service_time_p50_ms", "ms", "median service time of the window's requests"),
    number("service_time_p99_ms", "ms", "99th percentile of the same"),
    number(
        "response_time_p50_ms",
        "ms",
        "median response time of the window's requests, in a closed loop their service time; blank "
        "in older folders, which have closed loops only",
        later=True,
    ),
    number(
        "work_ms",
        "ms",
        "a fixed piece of work on the server's CPU, the mean of just before and just after: how "
        "fast that CPU was; blank where nothing could be pinned to it",
    ),
    SHORT_WORK,
    STOLEN,
    number(
        "parked_cpu_share",
        "",
        "CPU time over wall time of this server in the windows of the others' Slices since its own "
        "last one; blank where there were none",
    ),
)
