"""What the regression check writes: base and candidate side by side, and what it made of them."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loopbench.results.schema.columns import (
    Row,
    Table,
    count,
    flag,
    key,
    number,
    ordinal,
    signed,
    table,
    text,
)
from loopbench.results.schema.tables.slices import SHORT_WORK, STOLEN

SIDES_FILE = "sides.json"
"""Which two sides were measured, and which layers ran."""

FINGERPRINT = ("python", "libc", "method", "machine")
"""What of a side in sides.json instructions depend on, beside its packages and the code."""


BROKEN_OFF = "broken off before it was done"
"""In sides.json: why there is no more of a layer that was interrupted."""

NOT_REACHED = "not_reached"
"""In sides.json, among the settings of a layer that was broken off: stack and part of what was to
be measured of it, and was not there of all sides."""

TIME_ROUNDS = 24
"""Of the layer of times at most, where nobody asks for others; fewer where they take longer than
its budget. docs/regression.md has the simulation that says what fewer cost."""

TIME_TURNS = 6
"""Slices of each side, of a cell and Round. More Rounds tell more than longer ones."""


class Layer(enum.StrEnum):
    """What the check compares, from exact to statistical."""

    FACTS = "facts"
    BEHAVIOUR = "behaviour"
    INSTRUCTIONS = "instructions"
    MEMORY = "memory"
    TAILS = "tails"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Unlike:
    """Why instructions that were counted on two occasions cannot be compared; false where they can.

    parts: of the fingerprint, that differ or that one side does not know. versions: by package,
    that of the base (None: it has none) and that of the candidate.
    """

    parts: tuple[str, ...]
    versions: Mapping[str, tuple[str | None, str]]

    def __bool__(self) -> bool:
        return bool(self.parts or self.versions)

    @property
    def why(self) -> str:
        """In words that follow "the baseline"."""
        reasons = [f"another {', '.join(self.parts)}, or that is not known"] if self.parts else []
        reasons += [f"other packages ({version_words(self.versions)})"] if self.versions else []
        return f"was counted with {', and with '.join(reasons)}"

    @property
    def remedy(self) -> str:
        """The base that is measured now in place of that one."""
        known = [f"{name}=={base}" for name, (base, _) in self.versions.items() if base]
        base = "REF" if self.parts or not known else f"'{' '.join(known)}'"
        return f"`--base {base}` counts both sides here"


def unlike(
    base: Mapping[str, str | None],
    candidate: Mapping[str, str | None],
    base_packages: Mapping[str, str],
    candidate_packages: Mapping[str, str],
) -> Unlike:
    """Two fingerprints compared, and two sets of packages."""
    parts = (p for p in FINGERPRINT if base.get(p) is None or base.get(p) != candidate.get(p))
    return Unlike(tuple(parts), other_versions(base_packages, candidate_packages))


def other_versions(
    base: Mapping[str, str], candidate: Mapping[str, str]
) -> Mapping[str, tuple[str | None, str]]:
    """What of the candidate's packages the base has otherwise. Others that the base has are those
    of stacks that the candidate was not asked for."""
    return {
        name: (base.get(name), version)
        for name, version in candidate.items()
        if base.get(name) != version
    }


def version_words(versions: Mapping[str, tuple[str | None, str]]) -> str:
    """As in "aiohttp 3.14.5, now 3.13.2"."""
    return "; ".join(f"{name} {was or 'none'}, now {now}" for name, (was, now) in versions.items())


_SIDE = key("side", "base, candidate or yardstick")
_STACK = key("stack", "what was measured")

FACTS = table(
    "facts",
    "What must not change at all: a row a side, stack, subject, fact and asking. A fact that was "
    "asked for again, since the sides differed, has a row for each time.",
    _SIDE,
    _STACK,
    key("subject", "a case or route of the contract, or what else was asked of the stack"),
    key("fact", "what of it, such as status, headers, thread or blocked"),
    text("value", "what was seen; what differs from run to run by nature is reduced to its kind"),
)

SIDE_ANSWERS = table(
    "side_answers",
    "Answers to the questions about behaviour: a row a side, stack, question, setting and asking. "
    "Where the sides differed, they were asked again.",
    _SIDE,
    _STACK,
    key("question", "topic and name of the question"),
    key("setting", "`default`, or what was different from it"),
    key("answer", "as in behaviour.csv"),
    key("evidence", "what was seen, or why there is no answer"),
    flag("told", "whether there is an answer, and one that repeats", required=True),
)

INSTRUCTIONS = table(
    "instructions",
    "User-space instructions counted by callgrind: a row a side, stack, route and repeat.",
    _SIDE,
    _STACK,
    key("route", "name of the contract's case that was asked"),
    ordinal("repeat", "which count, from 1"),
    count("requests", "requests in this count", required=True),
    number(
        "instructions",
        "1",
        "instructions a request, without `searching`; where that is blank, with it",
        required=True,
    ),
    number(
        "searching",
        "1",
        "instructions a request that CPython spent on searching classes for names that were not in "
        "its cache, which follows from where the names lie in memory; blank: counted before this "
        "was told apart, or by an interpreter that has the search inlined",
        later=True,
    ),
)

UNCOUNTED = table(
    "uncounted",
    "Routes whose instructions could not be counted: a row a side, stack and route.",
    _SIDE,
    _STACK,
    key("route", "name of the contract's case that was asked"),
    key("reason", "why not"),
)

FUNCTIONS = table(
    "functions",
    "Instructions of a request by function, of routes that grew: a row a side, stack, route and "
    "function.",
    _SIDE,
    _STACK,
    key("route", "name of the contract's case that was asked"),
    key("python", "version of the Python that named its functions"),
    key("function", "module and name; of a C function its name"),
    number("own_instructions", "1", "of the function itself, a request", required=True),
    number("spread", "1", "range of the repeats over their mean"),
)

MEMORY = table(
    "memory",
    "What a server keeps of requests that have ended: a row a side, stack, subject and repeat, "
    "each repeat in a fresh process.",
    _SIDE,
    _STACK,
    key("subject", "name of the contract's case, or how connections ended"),
    ordinal("repeat", "which repeat, from 1"),
    count("requests", "requests or connections between the two readings", required=True),
    signed(
        "blocks",
        "1",
        "growth of the blocks of memory that Python holds, a request: about one an object",
    ),
    signed("resident_bytes", "B", "growth of the resident memory, a request"),
    text("reason", "why there are no readings; blank: there are"),
)

TAILS = table(
    "tails",
    "Requests one after another, to both sides in turn: a row a side, stack, case and batch.",
    _SIDE,
    _STACK,
    key("case", "name of the contract's case that was asked"),
    ordinal("batch", "which batch, from 1; both sides have it"),
    count("requests", "requests of the batch", required=True),
    count("failures", "those of them that were answered wrongly", required=True),
    count(
        "slow",
        "those that took at least `slow_ms` longer than the batch's median, without the time in "
        "which a thread of the server or the client waited for a CPU",
        required=True,
    ),
    number("slow_ms", "ms", "how much longer counts as slow", required=True),
    number("median_ms", "ms", "median service time of the batch", required=True),
    number("longest_ms", "ms", "longest service time, without waiting for a CPU"),
)

SLOTS = table(
    "slots",
    "Loads of base and candidate in turn, both alive: a row a Slice. Older folders have one or two "
    "rows a side, Round and cell, each made of several Slices: the upper quartile of throughput, "
    "the lower one of CPU time and of the median, the median of the 99th percentile.",
    _SIDE,
    ordinal("round", "Round, from 1"),
    ordinal("slot", "which of the side's Slices of this cell in this Round, from 1: the Turn"),
    ordinal("position", "place among all Slices, from 1"),
    _STACK,
    key("case", "name of the contract's case that was asked"),
    count("users", "users of the closed loop", required=True),
    number("measured_s", "s", "length of the Slice", required=True),
    count("requests", "right answers inside the Slice", required=True),
    count("failures", "those of them that failed", required=True),
    number("throughput_rps", "1/s", "correct answers a second"),
    number(
        "cpu_us_per_request",
        "us",
        "CPU time of the server process, a completed request",
    ),
    number(
        "service_time_p50_ms",
        "ms",
        "median service time of correct answers",
    ),
    number("service_time_p99_ms", "ms", "99th percentile of the same"),
    SHORT_WORK,
    STOLEN,
    text("warnings", "codes of loopbench.results.schema.warnings, `;` between; blank: none"),
)

TABLE_OF: Mapping[Layer, Table] = {
    Layer.FACTS: FACTS,
    Layer.BEHAVIOUR: SIDE_ANSWERS,
    Layer.INSTRUCTIONS: INSTRUCTIONS,
    Layer.MEMORY: MEMORY,
    Layer.TAILS: TAILS,
    Layer.TIME: SLOTS,
}
"""What each layer writes."""

FINDINGS = table(
    "regression",
    "What the check found: a row a layer, stack, subject and metric. Made from the other tables.",
    key("layer", "which of the layers found it"),
    _STACK,
    key("subject", "the case, route or question"),
    key("metric", "the fact or the quantity"),
    text("base", "value of the base, as the table shows it"),
    text("candidate", "value of the candidate"),
    number("ratio", "1", "candidate over base"),
    number("ratio_low", "1", "begin of the ratio's interval"),
    number("ratio_high", "1", "end of the ratio's interval"),
    count("n", "pairs that the ratio rests on"),
    number("p", "1", "p-value, adjusted over the whole table"),
    key(
        "verdict",
        "same, changed, regressed, improved, ruled-out, cannot-tell, missing, not-run or shown",
    ),
    number("detectable", "1", "the smallest change that this check could have caught, as a share"),
    text("meaning", "the verdict in words"),
)

UNKNOWN = "unknown"
"""The value of a fact that could not be read."""


def most_often(values: Sequence[str]) -> str | None:
    """The value of a fact at more than half of its askings, those left out that could not be read;
    UNKNOWN where none could be, and None where no value has so many."""
    known = [value for value in values if value != UNKNOWN] or list(values)
    value, times = Counter(known).most_common(1)[0]
    return value if 2 * times > len(known) else None


GROWTH = 0.01
"""The growth of instructions, as a share, from which on a route has regressed."""

SEARCHING_GROWTH = 0.03
"""The growth of searches of classes, as a share of a request, from which on a route has regressed:
twice what equal code was seen to spend more where its names lay otherwise (1.43 %)."""

SPREADS = 10
"""A growth has to be so many times what equal code differs by."""

_WHOLE = 3
"""So many counts are taken as they are; of more, the disturbed ones are a minority."""


def spread(counts: Sequence[float]) -> float:
    """What counts of the same code differ by, as a share of their median: the length of the
    shortest half (P. J. Rousseeuw, A. M. Leroy, Statistica Neerlandica 42 (1988) 103-116), which
    a few disturbed counts do not widen; of three counts or fewer, their range."""
    from statistics import median  # takes long, and every process imports these tables

    kept = max(min(_WHOLE, len(counts)), len(counts) // 2 + 1)
    ordered = sorted(counts)
    ranges = [last - first for first, last in zip(ordered, ordered[kept - 1 :], strict=False)]
    return min(ranges) / median(counts)


def by_searching(
    base: Sequence[Row], candidate: Sequence[Row]
) -> tuple[list[float], list[float]] | None:
    """The counts of a route on both sides as they were if these differed in searching classes
    alone: what each spent so, on top of the base's median instructions. What has grown then is
    searching, as a share of the request. None where it is not known of every count.

    A growth of this kind may come from where names lie in memory, in all counts of a side alike.
    """
    from statistics import median

    known = [
        [float(n) for row in rows if isinstance(n := row["searching"], int | float)]
        for rows in (base, candidate)
    ]
    if not base or len(known[0]) < len(base) or len(known[1]) < len(candidate):
        return None
    common = median(float(n) for row in base if isinstance(n := row["instructions"], int | float))
    before, after = ([common + spent for spent in values] for values in known)
    return before, after


def overlapping(base: Sequence[float], candidate: Sequence[float]) -> bool:
    """Whether a count of the candidate is as low as one of the base, the highest of more than three
    left out, so that its median may be higher by chance. Some costs are met in one window and not
    in the next; counts then have two levels, and each of them repeats well."""
    ordered = sorted(base)
    return min(candidate) <= ordered[-2 if len(ordered) > _WHOLE else -1]


def settled(base: Sequence[float], candidate: Sequence[float], growth: float = GROWTH) -> bool:
    """Whether the candidate's counts are at most half a growth above any of the base's, and less
    than one below. A side that was counted once then needs no other count, since equal code differs
    by less than the other half."""
    return min(candidate) > (1 - growth) * max(base) and (
        max(candidate) <= (1 + growth / 2) * min(base)
    )


def undecided(change: float, spread_: float, growth: float = GROWTH) -> bool:
    """Whether a change of instructions may be a growth, and is less than what could be told."""
    size = max(growth, SPREADS * spread_)
    return abs(change) < size and size > growth and change + spread_ >= growth
