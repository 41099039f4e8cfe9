"""The limits that a folder of `make capacity` holds: of each stack, from its trials."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from loopbench.results.errors import ResultsError
from loopbench.results.folder.tables import Problem, optional_rows, rows
from loopbench.results.grouping import grouped
from loopbench.results.schema import TRIAL_SERVICES, TRIALS, Row
from loopbench.results.schema.tables.capacity import Taker
from loopbench.results.schema.warnings import GENERATOR_CPU_LIMIT
from loopbench.results.stats.intervals.location import Interval
from loopbench.results.stats.queueing.queues import ONE_THREAD, Queue, Span, Window
from loopbench.results.stats.queueing.rate_limit import (
    CLIFF_SLOPE,
    Crossing,
    Disturbance,
    Trial,
    crossing,
    disturbances,
    ratio,
    undisturbed,
    usually_taken,
)

BESIDE = 3
"""So many trials on either side of the limit tell what the response times are there."""

FULL = "the load generator could not offer {rates} as it should"
TAKERS: Mapping[Taker, str] = MappingProxyType(
    {Taker.HYPERVISOR: "the hypervisor", Taker.PROGRAMS: "other programs"}
)
TAKEN = "{taker} took more than {most:.0%} of the time of the server's CPUs meanwhile"
HELD_UP = "the load generator was held up meanwhile, as other work on the machine does"

GENERATOR = "the load generator could not offer a higher rate"
TOO_FEW = "too few trials"
NOWHERE = "it did not hold at any rate that was offered"


@dataclass(frozen=True, slots=True)
class Side:
    """The trials next to the limit on one side: medians of their rates and p99 response times."""

    rate_rps: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Limit:
    """One stack. crossing: None where the trials are all on one side; reason: then why.

    held_rps, not_held_rps: the highest rate of a trial that held, the lowest of one that did not.
    below, above: the trials beside the limit. left_out: the rates of trials that count for
    nothing, by why. taken: of the trials that count, the share for which others had the server's
    CPUs in the middle one, by whom.
    """

    stack: str
    crossing: Crossing | None
    held_rps: float | None
    not_held_rps: float | None
    trials: int
    below: Side | None
    above: Side | None
    left_out: Mapping[str, tuple[float, ...]]
    reason: str
    taken: Mapping[Taker, float] = field(default_factory=dict)

    @property
    def cliff(self) -> bool:
        """Whether response times jump at the limit, so that nothing warns of it."""
        return self.crossing is not None and self.crossing.slope > CLIFF_SLOPE

    def processes(self, wanted_rps: float) -> int | None:
        """How many processes of this limit a rate needs, by the lower end of its interval."""
        if self.crossing is None or self.crossing.interval is None:
            return None
        return math.ceil(wanted_rps / self.crossing.interval.low)


@dataclass(frozen=True, slots=True)
class Limits:
    """An objective, and the limit of each stack: the highest first."""

    percent: float
    limit_ms: float
    case: str
    stacks: tuple[Limit, ...]

    @property
    def known(self) -> Mapping[str, Crossing]:
        """By stack, of those that have a limit: the highest first."""
        return {limit.stack: limit.crossing for limit in self.stacks if limit.crossing is not None}

    def over_highest(self) -> Mapping[str, tuple[float, Interval | None]]:
        """By stack: its limit over the highest one, with the interval."""
        highest, *others = self.known or ("",)
        return {stack: ratio(self.known[stack], self.known[highest]) for stack in others}


def of_folder(path: Path, problems: list[Problem]) -> Limits:
    """Raises ResultsError where no trial can be read."""
    trial_rows = list(rows(path, TRIALS, problems))
    if not trial_rows:
        raise ResultsError(f"{path}: {TRIALS.filename} holds no trial")
    first = trial_rows[0]
    by = grouped((str(row["stack"]), row) for row in trial_rows)
    share = _number(first, "allowed_share")
    spans = _spans(path, problems)
    stacks = sorted(
        (_limit(stack, trials, share, spans) for stack, trials in by.items()),
        key=lambda limit: -(limit.crossing.rate_rps if limit.crossing else limit.held_rps or 0.0),
    )
    return Limits(
        round((1 - share) * 100, 6), _number(first, "limit_ms"), str(first["case"]), tuple(stacks)
    )


def _number(row: Row, column: str) -> float:
    value = row[column]
    if not isinstance(value, int | float):
        raise ResultsError(f"{TRIALS.filename}: a trial has no {column}: measure the limits again")
    return float(value)


Spans = Mapping[tuple[str, int], Mapping[Queue, Span]]
"""Of a stack and a Turn."""


def _spans(path: Path, problems: list[Problem]) -> Spans:
    """None in a folder from before there were other queues than one thread."""
    spans: dict[tuple[str, int], dict[Queue, Span]] = {}
    for row in optional_rows(path, TRIAL_SERVICES, problems):
        wait = 0.0 if row["wait_share"] is None else _number(row, "wait_share")
        queue = Queue(int(_number(row, "threads")), _number(row, "variation"), wait)
        trial = spans.setdefault((str(row["stack"]), int(_number(row, "turn"))), {})
        trial[queue] = Span(*_services(row), _number(row, "luck"))
    return spans


def _services(row: Row) -> tuple[float, float]:
    """The shortest and the longest, in seconds."""
    least, most = row["service_least_us"], row["service_most_us"]
    return (
        0.0 if least is None else _number(row, "service_least_us") * 1e-6,
        math.inf if most is None else _number(row, "service_most_us") * 1e-6,
    )


def _trial(row: Row, spans: Spans) -> Trial:
    key = (str(row["stack"]), int(_number(row, "turn")))
    offered, slow = int(_number(row, "offered")), int(_number(row, "slow"))
    return Trial(
        _number(row, "arrival_rate_rps"),
        offered,
        slow,
        spans[key] if key in spans else {ONE_THREAD: Span(*_services(row))},
        Window(_number(row, "limit_ms") / 1e3, _number(row, "lead_in_s"), _number(row, "seconds")),
        {taker: _number(row, taker) for taker in Taker if row[taker] is not None},
    )


def _limit(stack: str, every: Sequence[Row], share: float, spans: Spans) -> Limit:
    out = grouped((why, row) for row in every if (why := _why_left_out(row)))
    offered = [row for row in every if not _why_left_out(row)]
    offered_trials = [_trial(row, spans) for row in offered]
    trials = undisturbed(offered_trials)
    by = grouped(zip(disturbances(offered_trials), offered, strict=True))
    usable = by.pop(None, [])
    out |= {_text(disturbed): of for disturbed, of in by.items() if disturbed is not None}
    held = [trial.rate_rps for trial in trials if trial.slow <= share * trial.offered]
    not_held = [trial.rate_rps for trial in trials if trial.slow > share * trial.offered]
    estimate = crossing(trials, share)
    reason = ""
    if estimate is None:
        reason = NOWHERE if not_held and not held else GENERATOR if FULL in out else TOO_FEW
    return Limit(
        stack,
        estimate,
        max(held, default=None),
        min(not_held, default=None),
        len(every),
        None if estimate is None else _side(usable, estimate.rate_rps, below=True),
        None if estimate is None else _side(usable, estimate.rate_rps, below=False),
        {why: _rates(of) for why, of in out.items()},
        reason,
        usually_taken(trials),
    )


def _text(disturbed: Disturbance) -> str:
    return TAKEN.format(taker=TAKERS[disturbed.taker], most=disturbed.most)


def _rates(trials: Sequence[Row]) -> tuple[float, ...]:
    """Ascending."""
    return tuple(sorted(_number(row, "arrival_rate_rps") for row in trials))


def _why_left_out(row: Row) -> str:
    """Blank of a trial that counts. A generator with CPU left is late at any rate, or at none."""
    if not row["generator_limited"]:
        return ""
    used = row["generator_cpu_utilisation"]
    return HELD_UP if isinstance(used, float) and used < GENERATOR_CPU_LIMIT else FULL


def _side(trials: Sequence[Row], rate_rps: float, *, below: bool) -> Side | None:
    known = [
        (_number(row, "arrival_rate_rps"), _number(row, "response_time_p99_ms"))
        for row in trials
        if row["response_time_p99_ms"] is not None
    ]
    side = [point for point in known if (point[0] < rate_rps) == below]
    near = sorted(side, key=lambda point: abs(point[0] - rate_rps))[:BESIDE]
    if not near:
        return None
    return Side(*(statistics.median(values) for values in zip(*near, strict=True)))
