"""What handlers that block or compute do to other requests: from the rows of runs.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loopbench.results.folder.folder import RunRow
from loopbench.results.folder.scenarios import Where
from loopbench.results.grouping import grouped
from loopbench.results.report.data import Material
from loopbench.results.report.questions.reply import (
    MOST_NAMED,
    Figure,
    Reply,
    milliseconds,
    over,
    verdict,
)
from loopbench.results.report.sections.answer import P99, beside, blocked, neighbour
from loopbench.results.report.series import findings
from loopbench.results.schema import Dispatch, Work
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.ratios import Ratio
from loopbench.results.stats.summaries.summary import Summary
from loopbench.results.terminal.brief import ALIKE


def stall(material: Material) -> Reply | None:
    """Whether the p99 of other requests grows beside a call that blocks the loop."""
    for where in blocked(material):
        tails = [
            (stack, now)
            for stack in material.contenders()
            if (now := material.get(stack, where, P99)) is not None
        ]
        if tails:
            return _stalled(material, where, tails)
    return None


def _stalled(material: Material, where: Where, tails: Sequence[tuple[str, Summary]]) -> Reply:
    slowest = tuple(
        f"{stack}: the slowest of them takes {milliseconds(most)}"
        for stack, _ in tails
        if (most := material.get(stack, where, "response_time_max_ms")) is not None
    )
    what = "the p99 response time of the other requests"
    now = over([Figure(stack, tail.centre, milliseconds(tail)) for stack, tail in tails])
    baseline = material.baseline(where)
    alone = {
        stack: summary
        for stack, _ in tails
        if baseline is not None and (summary := material.get(stack, baseline, P99)) is not None
    }
    if baseline is None or not alone:
        line = f"{now}: {what} beside a call that blocks the loop"
        return Reply(line + findings.doubted(material, {where: (P99,)}), slowest)
    grown = {
        stack: _grown(material.against((stack, *where), (stack, *baseline), P99))
        for stack, _ in tails
    }
    changes = [
        Figure(
            stack,
            tail.centre,
            f"from {milliseconds(alone[stack])} to {milliseconds(tail)}"
            if stack in alone
            else f"to {milliseconds(tail)}",
        )
        for stack, tail in tails
    ]
    change = over(changes) if len(changes) <= MOST_NAMED else f"to {now}"
    line = f"{verdict(grown)}: {_lower(neighbour(material, where[0]))} takes {what} {change}"
    return Reply(line + findings.doubted(material, {baseline: (P99,), where: (P99,)}), slowest)


def _grown(ratio: Ratio | None) -> bool | None:
    """Whether a time has grown: no only where the interval has no room for it, or says that it has
    become less. None: cannot tell."""
    if ratio is None or ratio.interval is None:
        return None
    if ratio.significant:
        return ratio.centre > 1
    return False if ratio.interval.high <= 1 + ALIKE else None


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


HEALTH_CHECK_MS = 1000.0
"""What Kubernetes waits for a probe's answer where nobody sets `timeoutSeconds`."""


def health(material: Material) -> Reply | None:
    """Whether the slowest of other requests beside handlers that compute was within the time
    that a health check waits, and none failed."""
    wheres = beside(material, lambda _: True, Work.COMPUTE)
    here = grouped((run.stack, run) for run in material.runs if run.where in wheres)
    rows = {stack: here[stack] for stack in material.contenders() if stack in here}
    slowest = {
        stack: max(times)
        for stack, runs in rows.items()
        if (times := [ms for run in runs if (ms := run.number(_SLOWEST)) is not None])
    }
    if not slowest:
        return None
    worst = [
        Figure(stack, most, f"{formatting.figure(P99, most)} ms") for stack, most in slowest.items()
    ]
    errors = sum(run.number("failures") or 0.0 for runs in rows.values() for run in runs)
    lost = f"{errors:,.0f} of them" if errors else "none"
    doubts = {stack: _doubtful(material, stack, wheres) for stack in rows}
    survives = {stack: _survives(runs, doubtful=doubts[stack]) for stack, runs in rows.items()}
    return Reply(
        f"{verdict(survives)}: beside a handler that computes, the slowest of all other requests "
        f"took {over(worst)}, and {lost} failed (Kubernetes waits {HEALTH_CHECK_MS / 1000:g} s by "
        f"default){_unknown(rows)}{findings.doubted(material, dict.fromkeys(wheres, (_SLOWEST,)))}",
        tuple(_computed(material, where) for where in wheres),
    )


_SLOWEST = "response_time_max_ms"


def _survives(runs: Sequence[RunRow], *, doubtful: bool) -> bool | None:
    """No where one request failed or was too late; yes where none was, and all Runs say so."""
    if any(
        (run.number(_SLOWEST) or 0.0) >= HEALTH_CHECK_MS or run.number("failures") for run in runs
    ):
        return False
    return None if doubtful or not all(map(_read, runs)) else True


def _read(run: RunRow) -> bool:
    return run.number(_SLOWEST) is not None and run.number("failures") is not None


def _doubtful(material: Material, stack: str, wheres: Sequence[Where]) -> bool:
    summaries = (material.get(stack, where, _SLOWEST) for where in wheres)
    return any(summary.disqualifying for summary in summaries if summary is not None)


def _unknown(rows: Mapping[str, Sequence[RunRow]]) -> str:
    """How many Runs of which stack say nothing; blank where all do."""
    counts = {stack: sum(not _read(run) for run in runs) for stack, runs in rows.items()}
    unread = [f"{formatting.counted(n, 'Run')} of {stack}" for stack, n in counts.items() if n]
    return f"; {findings.listed(unread)} cannot say" if unread else ""


def _computed(material: Material, where: Where) -> str:
    """The p99 beside one kind of neighbour."""
    figures = [
        Figure(stack, summary.centre, milliseconds(summary))
        for stack in material.contenders()
        if (summary := material.get(stack, where, P99)) is not None
    ]
    facts = [material.fact(burden) for burden in material.burdens(where[0])]
    place = dict.fromkeys(map(str, Dispatch), " on the loop") | {Dispatch.SYNC: " in a thread"}
    does = [
        f"for {load.work_ms:g} ms{place.get(load.dispatch, '')}" for load in facts if load.work_ms
    ]
    computes = f"Where it computes {findings.listed(does)}" if does else "Where it computes"
    return f"{computes} ({where[0]}), the p99 is {over(figures)}"
