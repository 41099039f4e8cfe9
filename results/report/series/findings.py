"""What the rows say about two stacks, in half sentences; honest about `~` and too few Rounds."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from loopbench.results.folder.scenarios import Where
from loopbench.results.report.data import Material
from loopbench.results.stats import formatting
from loopbench.results.stats.intervals.location import Interval
from loopbench.results.stats.summaries.ratios import Ratio
from loopbench.results.stats.summaries.summary import Summary


class Standing(enum.Enum):
    """How much can be said of a difference."""

    TOLD = "told"
    SAME = "same"
    TOO_FEW = "too few Rounds"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True)
class Difference:
    """A contender against the reference stack: one metric of one scenario and load."""

    where: Where
    name: str
    contender: Summary
    reference: Summary
    ratio: Ratio
    doubts: tuple[str, ...]

    @property
    def stack(self) -> str:
        """The contender."""
        return self.contender.sample.stack

    @property
    def standing(self) -> Standing:
        """Doubt comes before the interval: it would be that of something else."""
        if self.doubts:
            return Standing.DOUBTFUL
        if self.ratio.interval is None:
            return Standing.TOO_FEW
        return Standing.TOLD if self.ratio.significant else Standing.SAME


def _doubts(*summaries: Summary) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for summary in summaries for code in summary.disqualifying))


def differences(material: Material, where: Where, metric: str) -> list[Difference]:
    """Each contender against the reference, where both have the metric and a ratio of it."""
    to = material.summaries.reference
    base = None if to is None else material.get(to, where, metric)
    if base is None:
        return []
    return [
        Difference(
            where, material.name(where), summary, base, summary.ratio, _doubts(summary, base)
        )
        for stack in material.contenders()
        if (summary := material.get(stack, where, metric)) is not None and summary.ratio is not None
    ]


def first(
    material: Material, wheres: Sequence[Where], metric: str
) -> tuple[Where, list[Difference]] | None:
    """The first scenario with all contenders side by side; one without doubts goes before."""
    every = [
        (where, several) for where in wheres if (several := differences(material, where, metric))
    ]
    full = [pair for pair in every if len(pair[1]) == max(len(several) for _, several in every)]
    sure = [
        pair
        for pair in full
        if not any(difference.standing is Standing.DOUBTFUL for difference in pair[1])
    ]
    return next(iter(sure or full), None)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a metric is compared in a sentence: `A <verb> 2x [..] <noun> B`, `A and B cannot be
    told apart by their <what>`, values with `unit`."""

    what: str
    verb: str
    noun: str
    unit: str


MANNERS = {
    "throughput_rps": Manner("throughput", "answers", "as many requests as", "/s"),
    "cpu_us_per_request": Manner("CPU a request", "spends", "the CPU a request of", " µs"),
    "response_time_p99_ms": Manner("p99 response time", "has", "the p99 response time of", " ms"),
}


_SENTENCES = {
    Standing.TOLD: "{one} {verb} {factor} {noun} {other} in {where}: {values[0]} against "
    "{values[1]}",
    Standing.SAME: "{one} and {other} cannot be told apart by their {what} in {where}: {values[0]} "
    "and {values[1]} (~, ratio{interval})",
    Standing.TOO_FEW: "{one} {verb} {factor} {noun} {other} in {where} ({values[0]} against "
    "{values[1]}), but {rounds} cannot rule out chance",
    Standing.DOUBTFUL: "{one} with {values[0]} and {other} with {values[1]} cannot be compared by "
    "their {what} in {where} ({doubt})",
}
_CLAUSES = {
    Standing.TOLD: "{one} {verb} {factor} {noun} {other} in {where}",
    Standing.SAME: "{one} and {other} cannot be told apart by their {what} in {where} "
    "(ratio{interval})",
    Standing.TOO_FEW: "{one} {verb} {factor} {noun} {other} in {where} as far as {rounds} can tell",
    Standing.DOUBTFUL: "{one} and {other} cannot be compared by their {what} in {where} ({doubt})",
}
_OF_THAT = "{factor} the {what} of {other}: {one} has {values[0]} against {values[1]}"
_ANSWERS = {
    Standing.TOLD: _OF_THAT,
    Standing.TOO_FEW: f"{_OF_THAT}; {{rounds}} cannot rule out chance",
    Standing.SAME: "No difference can be told between the {what} of {one} and {other}: {values[0]} "
    "and {values[1]} (ratio{interval})",
    Standing.DOUBTFUL: "Cannot tell: {one} with {values[0]} and {other} with {values[1]} cannot be "
    "compared by their {what} ({doubt})",
}


def _worded(difference: Difference, by: Mapping[Standing, str]) -> str:
    """One of the texts, with the words of a difference in it."""
    manner, ratio = MANNERS[difference.contender.sample.metric], difference.ratio
    return by[difference.standing].format(
        one=difference.stack,
        other=ratio.to,
        where=difference.name,
        what=manner.what,
        verb=manner.verb,
        noun=manner.noun,
        factor=_factor(ratio),
        interval=_bracketed(ratio.interval),
        rounds=_rounds(ratio.n),
        values=_values(difference),
        doubt=_doubt(difference),
    )


def sentence(difference: Difference) -> str:
    """How many times as much of the metric the contender has as the reference, as the tables
    say it, with the figures of both; no full stop."""
    return _worded(difference, _SENTENCES)


def _values(difference: Difference) -> list[str]:
    metric = difference.contender.sample.metric
    return [
        f"{formatting.figure(metric, summary.centre)}{MANNERS[metric].unit}"
        for summary in (difference.contender, difference.reference)
    ]


def _doubt(difference: Difference) -> str:
    missed = difference.ratio.overloaded
    if missed:
        return f"{listed(missed)} did not hold the rate"
    return formatting.listed(map(formatting.plain, difference.doubts))


def headline(differences: Sequence[Difference]) -> str:
    """One clause: a contender beside the reference, or from where to where several go; and how
    many it says nothing of."""
    clear = [
        difference
        for difference in differences
        if difference.standing in (Standing.TOLD, Standing.SAME)
    ]
    few = [difference for difference in differences if difference.standing is Standing.TOO_FEW]
    ordered = sorted(clear or few, key=lambda difference: difference.ratio.centre)
    rest = len(differences) - max(1, len(ordered))
    others = f"; {rest} more cannot be compared there" if rest else ""
    if len(ordered) < 2:
        return _worded((ordered or differences)[0], _CLAUSES) + others
    least, most = ordered[0], ordered[-1]
    manner = MANNERS[least.contender.sample.metric]
    rounds = _rounds(max(difference.ratio.n for difference in ordered))
    chance = "" if clear else f", as far as {rounds} can tell"
    return (
        f"Beside {least.ratio.to} the {manner.what} of {len(ordered)} stacks in {least.name} goes "
        f"from {_factor(least.ratio)} ({least.stack}) to {_factor(most.ratio)} ({most.stack})"
        f"{chance}{others}"
    )


def answer(difference: Difference) -> str:
    """The same as an answer, without the place: the number comes first, or what keeps it from
    being known."""
    return _worded(difference, _ANSWERS)


def held(there: Difference, usual: Difference | None, place: str) -> str:
    """Whether a difference is the same elsewhere: yes where the intervals of the two ratios have a
    part in common, no where they have none. place: that of `there`, in words."""
    one = there.ratio
    if usual is None or usual.where == there.where:
        return f"{answer(there)}, {place}"
    other = usual.ratio
    if there.doubts or usual.doubts or one.interval is None or other.interval is None:
        return f"{answer(there)}, {place}"
    apart = one.interval.high < other.interval.low or other.interval.high < one.interval.low
    values = " against ".join(_values(there))
    return (
        f"{'No' if apart else 'Yes'}: {place}, {there.stack} has {_factor(one)} the "
        f"{MANNERS[there.contender.sample.metric].what} of {one.to} ({values}), and "
        f"{_factor(other)} in {usual.name}"
    )


def _factor(ratio: Ratio) -> str:
    return f"{formatting.digits(ratio.centre)}x{_bracketed(ratio.interval)}"


MOST_SENTENCES = 2


def contender_clauses(differences: Sequence[Difference]) -> str:
    """One clause a contender; of many only from where to where they go."""
    if len(differences) > MOST_SENTENCES:
        return headline(differences)
    return "; ".join(map(sentence, differences))


def summed_up(material: Material, wheres: Sequence[Where], metric: str) -> Iterator[str]:
    """Over several scenarios: from where to where the ratio goes, and where nothing is told."""
    every = [difference for where in wheres for difference in differences(material, where, metric)]
    for stack in dict.fromkeys(difference.stack for difference in every):
        mine = [difference for difference in every if difference.stack == stack]
        by = {
            standing: [difference for difference in mine if difference.standing is standing]
            for standing in Standing
        }
        clauses = list(_range(by[Standing.TOLD]))
        for standing, begin in (
            (Standing.SAME, "no difference can be told in"),
            (Standing.TOO_FEW, "too few Rounds for an interval in"),
            (Standing.DOUBTFUL, "a Warning forbids comparing them in"),
        ):
            if by[standing]:
                places = formatting.listed(difference.name for difference in by[standing])
                clauses.append(f"{begin} {places}")
        if clauses:
            yield f"{stack} beside {mine[0].ratio.to}: {'; '.join(clauses)}"


def _range(differences: Sequence[Difference]) -> Iterator[str]:
    """From the lowest ratio to the highest, each with its scenario."""
    ordered = sorted(differences, key=lambda difference: difference.ratio.centre)
    if len(ordered) == 1:
        yield _times(ordered[0])
    elif ordered:
        yield f"from {_times(ordered[0])} to {_times(ordered[-1])}"


def _times(difference: Difference) -> str:
    return f"{_factor(difference.ratio)} in {difference.name}"


def _bracketed(interval: Interval | None) -> str:
    return "" if interval is None else f" [{formatting.between(interval)}]"


def ratio(ratio: Ratio | None) -> str:
    """A ratio in a sentence: factor and interval, or what keeps it from being told."""
    if ratio is None:
        return ""
    if ratio.overloaded:
        return "overloaded"
    if ratio.interval is None:
        return f"{formatting.digits(ratio.centre)}x, too few Rounds for an interval"
    factor = f"{formatting.digits(ratio.centre)}x" if ratio.significant else "~"
    return f"{factor}{_bracketed(ratio.interval)}"


def _rounds(count: int) -> str:
    return formatting.counted(count, "Round")


def doubted(material: Material, metrics: Mapping[Where, Sequence[str]]) -> str:
    """Where Warnings forbid comparing one of these metrics: which, and on what stack; blank where
    none does. For the end of a sentence."""
    by_place: dict[str, list[str]] = {}
    for stack in material.contenders():
        for where, names in metrics.items():
            summaries = (material.get(stack, where, metric) for metric in names)
            codes = dict.fromkeys(
                code for summary in summaries if summary for code in summary.disqualifying
            )
            if codes:
                place = (
                    f"{material.name(where)} ({formatting.listed(map(formatting.plain, codes))})"
                )
                by_place.setdefault(place, []).append(stack)
    places = [f"{listed(stacks)} in {place}" for place, stacks in by_place.items()]
    return f"; not to be compared: {listed(places)}" if places else ""


def listed(pieces: Iterable[str]) -> str:
    """One, two and three."""
    every = list(pieces)
    return " and ".join(filter(None, (", ".join(every[:-1]), *every[-1:])))
