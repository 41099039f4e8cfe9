"""stalls.csv: each stretch in which a server's loop served nobody, with who held it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from loopbench.results.schema.columns import count, key, number, ordinal, table, text


class Cause(StrEnum):
    """Why a loop stood still. What cannot be told is UNKNOWN, with what is known as its detail."""

    PYTHON = "python"
    C_CALL = "c-call"
    BLOCKING_CALL = "blocking-call"
    COLLECTOR = "collector"
    INTERPRETER_LOCK = "interpreter-lock"
    MANY_CALLBACKS = "many-callbacks"
    NO_CPU = "no-cpu"
    QUOTA = "quota"
    STOPPED = "stopped"
    STOLEN = "stolen"
    UNKNOWN = "unknown"


CAUSE_WORDS: Mapping[str, tuple[str, str]] = {
    Cause.PYTHON: ("Python code", "Python code on the loop computed"),
    Cause.C_CALL: (
        "a call into C",
        "one call into C computed, such as a regular expression, JSON or compression",
    ),
    Cause.BLOCKING_CALL: (
        "a call waited",
        "a call waited: sleep, file, socket, name look-up or lock",
    ),
    Cause.COLLECTOR: ("garbage collector", "the garbage collector ran"),
    Cause.INTERPRETER_LOCK: (
        "another thread held the lock",
        "another thread held the interpreter's lock",
    ),
    Cause.MANY_CALLBACKS: (
        "many callbacks",
        "many callbacks in one turn of the loop, none of them long",
    ),
    Cause.NO_CPU: (
        "no CPU: others had it",
        "ready to run, but other threads or processes had the CPU",
    ),
    Cause.QUOTA: ("quota of CPU time used up", "the control group's quota of CPU time was used up"),
    Cause.STOPPED: ("process stopped", "the process was stopped"),
    Cause.STOLEN: ("the hypervisor took the CPU", "the hypervisor took the CPU away"),
    Cause.UNKNOWN: ("cannot be told", "cannot be told; the detail says what is known"),
}
"""Each cause in few words, as the terminal names it, and as the report does."""

CAUSES_OF_A_LINE = frozenset({Cause.PYTHON, Cause.C_CALL, Cause.BLOCKING_CALL, Cause.UNKNOWN})
"""Those of which the line that was running tells a person something. A collection begins wherever
an object happens to be made, and who has no CPU may be anywhere."""

STALLS = table(
    "stalls",
    "A row a stall: a stretch longer than the threshold (5 ms unless set otherwise) in which a "
    "watched loop did not return to its selector, or could not serve a timer. Of the measured "
    "window; see docs/stalls.md for how it is read.",
    key("run_id", "the Run, see runs.csv"),
    count("pid", "the process that the loop belongs to", required=True),
    number("started_s", "s", "begin of the stall after the begin of the window", required=True),
    number("duration_ms", "ms", "how long the loop served nobody", required=True),
    key("cause", "why: " + ", ".join(f"`{cause}`" for cause in Cause)),
    key("detail", "what the cause was told by, in words"),
    text(
        "route",
        "the route whose handler was running, or the path of the request where the application is "
        "not the suite's; blank where none was",
    ),
    ordinal(
        "request",
        "the place of the request among those of the route: one more than had ended; blank without "
        "a route of the suite's",
        required=False,
    ),
    text(
        "task",
        "name of the asyncio task that was running; on Python 3.14 and later with those that wait "
        "for it, ` < ` between them",
    ),
    text(
        "file",
        "of the innermost frame outside the standard library and the code that runs the server "
        "here; blank where none was seen",
    ),
    count("line", "its line"),
    text("function", "its function"),
    text(
        "frames", "the innermost frames, innermost first, `file:line function`, ` < ` between them"
    ),
)
