"""Two results folders against each other: ratio, interval and verdict, a Cell and metric.

The Rounds of two folders are no pairs, so the logarithms of their values are
compared by Yuen's test for unequal variances
(`results.stats.intervals.location`): the difference of the trimmed means, its
standard error from both winsorised variances, and Welch's degrees of freedom.
This is the interval of `scipy.stats.ttest_ind(b, a, trim=0.2,
equal_var=False)`.

The interval knows only the differences between the Rounds of a folder. Two
occasions differ by more than that (heat, neighbours, the hour), so small
differences between folders are to be confirmed side by side.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from loopbench.results.folder.folder import Folder, leaves, written
from loopbench.results.folder.scenarios import Where, facts_by_load, names_of
from loopbench.results.grouping import grouped
from loopbench.results.schema import ENVIRONMENT_FILE, Value
from loopbench.results.schema.reading_warnings import MIN_ROUNDS, ReadingCode
from loopbench.results.stats import formatting
from loopbench.results.stats.intervals.location import (
    CONFIDENCE,
    Interval,
    Location,
    locate,
    quantile,
    raised,
)
from loopbench.results.stats.summaries.sample import METRICS, Cell, Sample
from loopbench.results.stats.summaries.summary import Summaries, Summary, load_models

BY_CHANCE = round(1 / (1 - CONFIDENCE))
"""One verdict in so many says "different" where nothing differs."""


class Verdict(enum.StrEnum):
    """What a Comparison says of the second folder."""

    FASTER = "faster"
    SLOWER = "slower"
    LESS = "less"
    MORE = "more"
    SAME = "~"
    CANNOT_TELL = "cannot tell"


_RISE_AND_FALL: Mapping[str, tuple[Verdict, Verdict]] = {
    "1/s": (Verdict.FASTER, Verdict.SLOWER),
    "ms": (Verdict.SLOWER, Verdict.FASTER),
}
"""What a rise and a fall are called, by unit; other units: more and less."""

_AMOUNTS = frozenset({"gc_pause_total_ms", "task_oldest_ms"})
"""Columns in these units that are no time of anything that is waited for: a window in which more is
answered has more of them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one Cell in two folders. ratio: second over first.

    reason: why it cannot be told; blank where it can. remarks: Warnings about the figure that
    leave the verdict, such as failed requests; blank where there are none.
    """

    cell: Cell
    metric: str
    before: float | None
    after: float | None
    ratio: float | None
    interval: Interval | None
    verdict: Verdict
    reason: str
    remarks: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that was not the same on the two occasions. `None`: not known there."""

    what: str
    before: str | None
    after: str | None


def compare(
    first: Folder, before: Summaries, second: Folder, after: Summaries, *, every: bool = False
) -> tuple[Comparison, ...]:
    """Compare what `show` shows of each Cell that both have; every metric with `every`."""
    models = {**load_models(second), **load_models(first)}
    return tuple(
        compared
        for cell in before.cells
        if cell in after.cells
        for metric in (METRICS if every else _shown(models[cell[1:]]))
        if (compared := _compare(cell, metric, before, after)) is not None
    )


def only_in_one(before: Summaries, after: Summaries) -> dict[str, tuple[Cell, ...]]:
    """The Cells that cannot be compared since the other folder lacks them."""
    return {
        "first": tuple(cell for cell in before.cells if cell not in after.cells),
        "second": tuple(cell for cell in after.cells if cell not in before.cells),
    }


def _shown(models: tuple[str, ...]) -> list[str]:
    return [shown.metric for shown in formatting.shown_for(models)]


def _compare(cell: Cell, metric: str, before: Summaries, after: Summaries) -> Comparison | None:
    one, other = before.get(cell, metric), after.get(cell, metric)
    if one is None and other is None:
        return None
    if one is None or other is None:
        where = "second" if one is None else "first"
        reason = f"only the {where} has it"
        known = (one.centre if one else None, other.centre if other else None)
        return Comparison(cell, metric, *known, None, None, Verdict.CANNOT_TELL, reason)
    ratio, interval = unpaired_ratio(one.sample, other.sample)
    reason = _disqualified(one, other) or _no_interval(one, other, interval)
    verdict = Verdict.CANNOT_TELL if reason else _verdict(metric, ratio, interval)
    known = one.centre, other.centre
    remarks = _remarks(one, other)
    return Comparison(cell, metric, *known, ratio, interval, verdict, reason, remarks)


def unpaired_ratio(first: Sample, second: Sample) -> tuple[float | None, Interval | None]:
    """Second over first, with its 95 % interval; None where a value is zero, or Rounds too few."""
    values = (*first.values.values(), *second.values.values())
    if any(value <= 0 for value in values):
        return None, None
    one, other = (
        locate(math.log(value) for value in sample.values.values()) for sample in (first, second)
    )
    return math.exp(other.centre - one.centre), raised(_welch(one, other))


def _welch(one: Location, other: Location) -> Interval | None:
    if not one.freedom or not other.freedom:
        return None
    middle = other.mean - one.mean
    squares = one.error**2 + other.error**2
    if squares == 0:
        return Interval(middle, middle)
    freedom = squares**2 / (one.error**4 / one.freedom + other.error**4 / other.freedom)
    reach = quantile(freedom) * math.sqrt(squares)
    return Interval(middle - reach, middle + reach)


def _verdict(metric: str, ratio: float | None, interval: Interval | None) -> Verdict:
    """Without a ratio both are zero in every Round."""
    if ratio is None or interval is None or 1.0 in interval:
        return Verdict.SAME
    return word_for(metric, ratio)


def word_for(metric: str, ratio: float) -> Verdict:
    """What a ratio that is not 1 is called, of a column of runs.csv or of what is no time."""
    unit = METRICS[metric].unit if metric in METRICS.keys() - _AMOUNTS else ""
    rise, fall = _RISE_AND_FALL.get(unit, (Verdict.MORE, Verdict.LESS))
    return rise if ratio > 1 else fall


def _disqualified(one: Summary, other: Summary) -> str:
    """Warnings in more Rounds than the method trims away."""
    return _in_which({"first": one.disqualifying, "second": other.disqualifying})


def _remarks(one: Summary, other: Summary) -> str:
    """Warnings that leave a verdict, and say more than that a figure is noisy. Of too few Rounds
    the reason tells."""
    return _in_which(
        {
            side: tuple(
                warning.code
                for warning in summary.warnings
                if not warning.wording.minor
                and not warning.wording.disqualifies
                and warning.code != ReadingCode.TOO_FEW_ROUNDS
            )
            for side, summary in {"first": one, "second": other}.items()
        }
    )


def _in_which(codes: Mapping[str, Iterable[str]]) -> str:
    """Each code once, with the folders that have it."""
    by_code = grouped((code, side) for side, listed in codes.items() for code in listed)
    by_sides = grouped((" and ".join(sides), code) for code, sides in by_code.items())
    return "; ".join(f"{', '.join(listed)} in the {where}" for where, listed in by_sides.items())


def _no_interval(one: Summary, other: Summary, interval: Interval | None) -> str:
    if interval is not None:
        return ""
    fewest = min(one.n, other.n)
    if fewest < MIN_ROUNDS:
        return f"too few Rounds: {one.n} and {other.n}, {MIN_ROUNDS} needed"
    values = (*one.sample.values.values(), *other.sample.values.values())
    if not any(values):
        return ""  # nothing in every Round of both is the same
    return f"a {'figure below zero' if min(values) < 0 else 'zero'} has no ratio"


_IGNORED = re.compile(
    r"^(schema_version|command|seed|left_out|parity)\b"
    r"|\b(pids?|ports?|url|hostname|started_at|uptime\w*|load_average|\w*available\w*)$"
)
"""Keys of environment.json that differ from occasion to occasion, change no figure, or follow from
others: what the settings of stacks differ by, from those of each; the first stack is the one that
the others are held against there, so that it follows from which were measured."""

_PLANNED = ("duration_s", "warmup_s", "probe")
"""Of plan.json: what changes the figures."""

_UNSAID: Mapping[str, object] = {
    "processes": 1,
    "manager": "children",
    "workers": None,
    "server_host": None,
}
"""The same, of what a plan says only where it is not this: workers that share the loads, and the
host of the servers where it is another one."""

_THINK = "think_s"
_OFFERED = (
    "load_model",
    "case",
    "users",
    "arrival_rate_rps",
    _THINK,
    "work",
    "work_ms",
    "request_body_bytes",
    "answer_body_bytes",
)
"""Of runs.csv: what was offered under the name of a load, and what came back."""


def differences(first: Folder, second: Folder) -> tuple[Difference, ...]:
    """What was not the same on the two occasions: machine, Python, packages, settings, and loads
    of one name."""
    return (*_conditions(first, second), *_loads(first, second))


def _loads(first: Folder, second: Folder) -> Iterator[Difference]:
    """Loads that are called the same and were not: those of a file that a person edited, or of
    another version. What one folder does not know is no difference."""
    both = {run.cell for run in first.runs} & {run.cell for run in second.runs}
    one, other = (_offered(folder, both) for folder in (first, second))
    names = names_of({**facts_by_load(second.runs), **facts_by_load(first.runs)})
    for (where, column), before in one.items():
        after = other.get((where, column))
        if after is not None and before != after:
            yield Difference(f"{names[where]}.{column}", before, after)


def _offered(folder: Folder, cells: set[Cell]) -> dict[tuple[Where, str], str]:
    """By load and column: what stands there in the Runs of these Cells. A time to think is known to
    be none where it is blank."""
    found = grouped(
        ((run.where, column), _plain(value))
        for run in folder.runs
        if run.cell in cells
        for column in _OFFERED
        if (value := run.values[column]) is not None or column == _THINK
    )
    return {key: " or ".join(sorted(set(values))) for key, values in found.items()}


def _plain(value: Value) -> str:
    """A cell as it is told; whole numbers without a point."""
    return f"{value:.12g}" if isinstance(value, float) else written(value)


def _conditions(first: Folder, second: Folder) -> tuple[Difference, ...]:
    """Of environment.json and plan.json. A stack that one folder lacks is no difference. A key that
    one folder does not know is: nobody can say that it was the same.
    """
    if not first.environment or not second.environment:
        known = ["known" if folder.environment else None for folder in (first, second)]
        return (Difference(ENVIRONMENT_FILE, *known),)
    one, other = (_facts(folder) for folder in (first, second))
    both = _stacks(first) & _stacks(second)
    keys = [
        key
        for key in {**one, **other}
        if not (key[0] == "stacks" and len(key) > 1 and key[1] not in both)
    ]
    return tuple(
        Difference(".".join(key), one.get(key), other.get(key))
        for key in keys
        if one.get(key) != other.get(key)
    )


def _stacks(folder: Folder) -> set[str]:
    stacks = folder.environment.get("stacks")
    return set(stacks) if isinstance(stacks, dict) else set()


def _facts(folder: Folder) -> dict[tuple[str, ...], str]:
    raw = folder.plan.raw
    plan = {key: raw[key] for key in _PLANNED if key in raw}
    if raw:
        plan |= {key: raw.get(key, unsaid) for key, unsaid in _UNSAID.items()}
    return {
        key: value
        for key, value in leaves({**folder.environment, "plan": plan})
        if not _IGNORED.search(".".join(key))
    }
