"""What other commands than a bench put into a results folder beside it."""

from __future__ import annotations

from loopbench.results.schema.columns import count, flag, key, number, signed, table, text

PROBE_COST = table(
    "probe_cost",
    "What the probe costs, counted under callgrind: a row a stack. Written by `loadtests "
    "probe-cost --out DIR`, which is not part of a bench.",
    key("stack", "whose `/async` route was asked"),
    count("requests", "requests in one count", required=True),
    count("repeats", "counts with the probe off, and as many with it on", required=True),
    number("off_instructions", "1", "user-space instructions a request, probe off, median"),
    number("on_instructions", "1", "the same with the probe on, its timer excluded"),
    number("spread", "1", "the wider range of the counts, as a share of the least"),
    signed("share", "1", "what the probe adds to a request, as a share"),
    number("beat_instructions", "1", "instructions of one beat of the probe's timer"),
    signed(
        "resting_share",
        "1",
        "what the probe adds while it rests, as in the Slices that figures are taken from",
        later=True,
    ),
    number(
        "searching_share",
        "1",
        "the most that a process spent on searching classes for what the interpreter's cache did "
        "not hold, as a share of a request; the shares that the probe adds are without it",
        later=True,
    ),
)

COUNTS = table(
    "counts",
    "Instructions of a request, counted under callgrind with the garbage collector off: a row a "
    "stack and case. Written by `loadtests instructions --out DIR`.",
    key("stack", "what was asked"),
    key("case", "name of the contract's case"),
    count(
        "layers",
        "how many layers of middleware the case lies under; blank: it is not about layers",
        later=True,
    ),
    count("requests", "requests in one count", required=True),
    count("repeats", "how often it was counted", required=True),
    number(
        "instructions",
        "1",
        "user-space instructions a request, median; without `searching`, and with it where that is "
        "blank",
        required=True,
    ),
    number("spread", "1", "range of the counts, as a share of the least; blank for one"),
    number(
        "searching",
        "1",
        "instructions a request that CPython spent on searching classes for names that were not in "
        "its cache, median; blank: counted before this was told apart, or by an interpreter that "
        "has the search inlined",
        later=True,
    ),
)

BEHAVIOUR = table(
    "behaviour",
    "What each stack was seen to do: a row a question, stack, setting and Python. Written by "
    "`make behaviour`.",
    key("question", "topic and name of the question"),
    key("topic", "what the question belongs to, in words"),
    key("asks", "the question, as a sentence"),
    key("stack", "which stack was asked"),
    key("setting", "`default`, or what was different from it, as one would write it in code"),
    key(
        "answer",
        "a short stable word, phrase or number with its unit; `none`: the stack has no "
        "counterpart; `not answered`: the experiment was cut or failed",
    ),
    key("evidence", "what was seen in this very run"),
    text("commonly_said", "the claim about this stack, where there is one"),
    text("agrees", "whether the answer bears the claim out: yes, no or partly"),
    text("follows", "what follows from the answer for one's code"),
    flag("varies", "the answer is not stable, and gives a range", required=True),
    number("took_s", "s", "how long the experiment took", required=True),
    key("versions", "the packages that were asked, with their versions"),
    key("python", "version of the interpreter"),
)

WORKERS = table(
    "workers",
    "A row a Run and load worker, where several shared the loads. Written by `make bench "
    "WORKERS=…` and by `loadtests bench --expect-workers …`.",
    key("run_id", "the Run"),
    count("worker", "its number in this Run, from 1 on", required=True),
    key("host", "name of the machine that it ran on"),
    count("pid", "its process there", required=True),
    key("python", "its Python"),
    key("version", "digest of the suite's source, and Locust's version"),
    count("users", "users, each with one connection; 0: too few to share", required=True),
    count(
        "requests", "requests of the measured window; of a lost worker those up to its last report"
    ),
    count("failures", "how many of them failed"),
    number("cpu_utilisation", "1", "its CPU time in the window over wall time"),
    number("lag_p99_ms", "ms", "99th percentile of the lateness of its 10 ms timer"),
    text("clock", "kernel, or user, as in runs.csv"),
    signed(
        "offset_ms", "ms", "how far its wall clock was ahead of the master's; 0 on the same machine"
    ),
    number("offset_bound_ms", "ms", "the most that offset_ms can be wrong: half a round trip"),
    number("late_ms", "ms", "how long after the agreed instant it began"),
    number("opened_s", "s", "begin of its window after the agreed start, by the master's clock"),
    number("closed_s", "s", "its window's end, likewise"),
    number("longest_gap_s", "s", "the longest that nothing was heard of it during the load"),
    count("report_bytes", "size of its report to the master", unit="bytes"),
    text("gone", "why it was lost; blank: it was not"),
    text("warnings", "codes of loopbench.results.schema.warnings that are about it, `;` between"),
)
