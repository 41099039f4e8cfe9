"""What the regression check writes: base and candidate side by side, and what it made of them."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from loopbench.results.schema.columns import Column, Kind, Table, count, number, text

SIDES_FILE = "sides.json"
"""Which two sides were measured, and which layers ran."""

FINGERPRINT = ("python", "libc", "method", "machine", "lock")
"""What of a side in sides.json instructions depend on, beside the code that is compared."""


class Layer(enum.StrEnum):
    """What the check compares, from exact to statistical."""

    FACTS = "facts"
    INSTRUCTIONS = "instructions"
    TIME = "time"


def unlike(base: Mapping[str, str | None], candidate: Mapping[str, str | None]) -> tuple[str, ...]:
    """The parts of two fingerprints that differ, or that one side does not know."""
    return tuple(
        part
        for part in FINGERPRINT
        if base.get(part) is None or base.get(part) != candidate.get(part)
    )


_SIDE = text("side", "base, candidate or yardstick", required=True)
_STACK = text("stack", "what was measured", required=True)

FACTS = Table(
    "facts",
    "What must not change at all: a row a side, stack, subject and fact.",
    (
        _SIDE,
        _STACK,
        text(
            "subject",
            "a case or route of the contract, or a question and its setting",
            required=True,
        ),
        text(
            "fact",
            "status, content-type, headers, body, thread, loop, blocked or answer",
            required=True,
        ),
        text(
            "value", "what was seen; what differs from run to run by nature is reduced to its kind"
        ),
    ),
)

INSTRUCTIONS = Table(
    "instructions",
    "User-space instructions counted by callgrind: a row a side, stack, route and repeat.",
    (
        _SIDE,
        _STACK,
        text("route", "name of the contract's case that was asked", required=True),
        Column("repeat", Kind.INTEGER, "", "which count, from 1", True, 1),
        count("requests", "requests in this count", required=True),
        number("instructions", "1", "instructions a request", required=True),
    ),
)

SLOTS = Table(
    "slots",
    "Loads of base and candidate in turn, both alive: a row a side, round, slot, stack and case.",
    (
        _SIDE,
        Column("round", Kind.INTEGER, "", "Round, from 1", True, 1),
        Column(
            "slot", Kind.INTEGER, "", "which of the side's slots in this Round, from 1", True, 1
        ),
        Column("position", Kind.INTEGER, "", "place among all slots, from 1", True, 1),
        _STACK,
        text("case", "name of the contract's case that was asked", required=True),
        count("users", "users of the closed loop", required=True),
        number("measured_s", "s", "length of the slot", required=True),
        count("requests", "requests that began in the slot, however they ended", required=True),
        count("failures", "those of them that failed", required=True),
        number("throughput_rps", "1/s", "correct answers a second"),
        number("cpu_us_per_request", "us", "CPU time of the server process, a completed request"),
        number("service_time_p50_ms", "ms", "median service time of correct answers"),
        number("service_time_p99_ms", "ms", "99th percentile of the same"),
        text("warnings", "codes of loopbench.results.schema.warnings, `;` between; blank: none"),
    ),
)

FINDINGS = Table(
    "regression",
    "What the check found: a row a layer, stack, subject and metric. Made from the other tables.",
    (
        text("layer", "facts, instructions or time", required=True),
        _STACK,
        text("subject", "the case, route or question", required=True),
        text("metric", "the fact or the quantity", required=True),
        text("base", "value of the base, as the table shows it"),
        text("candidate", "value of the candidate"),
        number("ratio", "1", "candidate over base"),
        number("ratio_low", "1", "begin of the ratio's interval"),
        number("ratio_high", "1", "end of the ratio's interval"),
        count("n", "pairs that the ratio rests on"),
        number("p", "1", "p-value, adjusted over the whole table"),
        text(
            "verdict",
            "same, changed, regressed, improved, ruled-out, cannot-tell, missing, not-run or shown",
            required=True,
        ),
        number(
            "detectable", "1", "the smallest change that this check could have caught, as a share"
        ),
        text("meaning", "the verdict in words"),
    ),
)
