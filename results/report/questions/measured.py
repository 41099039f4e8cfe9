"""Answers from the rows of runs.csv, in sentences that need no knowledge of the suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loopbench.results.folder.folder import RunRow
from loopbench.results.folder.scenarios import Where
from loopbench.results.grouping import grouped
from loopbench.results.report.data import Material
from loopbench.results.report.questions import many
from loopbench.results.report.questions.reply import (
    MOST_NAMED,
    Figure,
    Reply,
    capital,
    figures_alone,
    offered,
    over,
    times,
    verdict,
)
from loopbench.results.report.sections import pressure
from loopbench.results.report.sections.answer import P99, beside, blocked, neighbour
from loopbench.results.report.sections.throughput import CPU, THROUGHPUT
from loopbench.results.report.series import findings, readings
from loopbench.results.schema import Dispatch, Family, Work
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.ratios import Ratio
from loopbench.results.stats.summaries.summary import Summary
from loopbench.results.terminal.brief import ALIKE


def faster(material: Material) -> Reply | None:
    """Throughput in the first closed loop that compares it; behind it the other loops."""
    closed = material.models(LoadKind.CLOSED)
    compared = findings.first(material, closed, THROUGHPUT)
    if compared is None:
        return None
    where, differences = compared
    if len(differences) > MOST_NAMED:
        return many.faster(differences)
    line = "; ".join(map(findings.answer, differences))
    others = findings.summed_up(material, [loop for loop in closed if loop != where], THROUGHPUT)
    details = (f"In the other closed loops, {clause}" for clause in others)
    return Reply(f"{line}, {offered(material, where)}", tuple(details))


def waiting(material: Material) -> Reply | None:
    """Against the first closed loop: whether the intervals of the two ratios have a part in
    common."""
    compared = findings.first(material, material.family(Family.WAITING), THROUGHPUT)
    usual = findings.first(material, material.models(LoadKind.CLOSED), THROUGHPUT)
    if compared is None:
        return None
    before = {} if usual is None else {difference.stack: difference for difference in usual[1]}
    long = material.fact(compared[0]).work_ms
    waits = f"where handlers wait{f' for {long:g} ms' if long else ''}"
    sentences = [
        findings.held(difference, before.get(difference.stack), waits) for difference in compared[1]
    ]
    if len(sentences) <= MOST_NAMED:
        return Reply("; ".join(sentences))
    ratios = [
        Figure(
            difference.stack,
            difference.ratio.centre,
            f"{formatting.digits(difference.ratio.centre)}x",
        )
        for difference in compared[1]
        if not difference.doubts
    ]
    to = f"as many requests as {compared[1][0].ratio.to} {waits}"
    return (
        Reply(f"{over(ratios)} {to}", tuple(sentences))
        if ratios
        else Reply(sentences[0], tuple(sentences))
    )


def sync(material: Material) -> Reply | None:
    """CPU of the same answer from a worker thread over that from the loop; instructions where its
    CPU time does not tell the two apart."""
    for threaded in material.family(Family.SYNC):
        direct = material.baseline(threaded)
        if direct is None:
            continue
        ratios = _dispatch(material, direct, threaded)
        timed = [Figure(stack, ratio.centre, times(ratio)) for stack, ratio in ratios.items()]
        counted = _counted(material, direct, threaded)
        figures, of_what, other = timed, "CPU time", ""
        if counted and not (ratios and all(ratio.significant for ratio in ratios.values())):
            figures, of_what = counted, "instructions"
            other = f"In CPU time, system calls included: {over(timed)}" if timed else ""
        if not figures:
            continue
        waits = [
            Figure(figure.stack, wait.centre, _ms(wait))
            for figure in figures
            if (wait := material.get(figure.stack, threaded, "executor_wait_mean_ms")) is not None
        ]
        waited = (
            f", for which it waits {figures_alone(waits, figures)} in the mean" if waits else ""
        )
        return Reply(
            f"{capital(over(figures))}: a sync route takes that many times the {of_what} of the "
            f"async one, since each call is handed to a thread{waited} "
            f"({threaded[0]} over {direct[0]})"
            + findings.doubted(
                material, {direct: (CPU,), threaded: (CPU, "executor_wait_mean_ms")}
            ),
            (other,) if other else (),
        )
    return None


def _dispatch(material: Material, direct: Where, threaded: Where) -> dict[str, Ratio]:
    return {
        stack: ratio
        for stack in material.contenders()
        if (ratio := material.against((stack, *threaded), (stack, *direct), CPU)) is not None
    }


def _counted(material: Material, direct: Where, threaded: Where) -> list[Figure]:
    one, other = material.instructions(threaded), material.instructions(direct)
    return [
        Figure(stack, share, f"{formatting.digits(share)}x")
        for stack in material.contenders()
        if stack in one and stack in other
        for share in (one[stack] / other[stack],)
    ]


def _ms(summary: Summary) -> str:
    return f"{formatting.figure(summary.sample.metric, summary.centre)} ms"


def pool(material: Material) -> Reply | None:
    """What the pool allows with calls of this length, and what the most users got."""
    lines = [line for sweep in pressure.sweeps(material) if (line := _swept(material, sweep))]
    return Reply(lines[0], tuple(lines[1:])) if lines else None


def _swept(material: Material, sweep: pressure.Sweep) -> str:
    most = max(sweep.steps)
    where = sweep.steps[most]
    sizes, allowed, rates, waits = [], [], [], []
    for stack in material.contenders():
        size = pressure.pool_size(material, stack, sweep.steps)
        rate = material.get(stack, where, THROUGHPUT)
        wait = material.get(stack, where, "executor_wait_p50_ms")
        if size is None or rate is None or wait is None:
            continue
        most_rps = size / sweep.work_s
        sizes.append(Figure(stack, size, f"{size} threads"))
        allowed.append(Figure(stack, most_rps, formatting.digits(most_rps)))
        got = f"{formatting.figure(THROUGHPUT, rate.centre)}/s"
        rates.append(Figure(stack, rate.centre, got))
        waits.append(Figure(stack, wait.centre, _ms(wait)))
    if not sizes:
        return ""
    variant = f" ({sweep.variant})" if sweep.variant else ""
    waited = f"each request waits {figures_alone(waits, sizes)} for a thread"
    return (
        f"{over(sizes)}{variant}: they allow {figures_alone(allowed, sizes)} calls of "
        f"{sweep.work_s * 1000:g} ms a second, so that {most} users at once get "
        f"{figures_alone(rates, sizes)} and {waited}"
        + findings.doubted(material, {where: (THROUGHPUT, "executor_wait_p50_ms")})
    )


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
        f"{stack}: the slowest of them takes {_ms(most)}"
        for stack, _ in tails
        if (most := material.get(stack, where, "response_time_max_ms")) is not None
    )
    what = "the p99 response time of the other requests"
    now = over([Figure(stack, tail.centre, _ms(tail)) for stack, tail in tails])
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
            f"from {_ms(alone[stack])} to {_ms(tail)}" if stack in alone else f"to {_ms(tail)}",
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
        Figure(stack, summary.centre, _ms(summary))
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


def memory(material: Material) -> Reply | None:
    """Of connections that stay, by the process's resident memory."""
    lines = [line for name in pressure.lingering(material) if (line := _held(material, name))]
    return Reply(lines[0], tuple(lines[1:])) if lines else None


_TOTAL = pressure.Held("Memory, MB", "rss_start_bytes", "rss_end_bytes", 1e-6, each=False)
NOT_GIVEN_BACK = 0.5
"""The share of what connections took that is still held when all are closed, from which it is said
to be kept."""


def _held(material: Material, scenario: str) -> str:
    each, after = pressure.HELD[0], pressure.HELD[2]
    costs, left = [], []
    kept: list[str] = []
    back: list[str] = []
    for stack in material.contenders():
        standing = pressure.held(material, stack, scenario, each)
        if standing is None:
            continue
        kilobytes = readings.estimate(standing)[0]
        costs.append(Figure(stack, kilobytes, f"{formatting.digits(kilobytes)} kB"))
        rest = pressure.held(material, stack, scenario, after)
        total = pressure.held(material, stack, scenario, _TOTAL)
        if rest is not None and total is not None:
            megabytes, all_of_it = readings.estimate(rest)[0], readings.estimate(total)[0]
            left.append(Figure(stack, megabytes, f"{formatting.digits(megabytes)} MB"))
            if all_of_it > 0:
                (kept if megabytes >= NOT_GIVEN_BACK * all_of_it else back).append(stack)
    if not costs:
        return ""
    line = f"{over(costs)} for each idle connection" if _idle(material, scenario) else over(costs)
    wheres = [where for where in material.loads if where[0] == scenario]
    doubts = findings.doubted(material, dict.fromkeys(wheres, ("rss_end_bytes", "rss_after_bytes")))
    if not left:
        return f"{line} ({scenario}){doubts}"
    given_back = _given_back(kept, back, len(costs))
    return (
        f"{line}{given_back}: with all of them closed, the process is larger than "
        f"before by {over(left)} ({scenario}){doubts}"
    )


def _given_back(kept: Sequence[str], back: Sequence[str], of: int) -> str:
    """Of so many stacks. One that grew by nothing, or that was not read again, gives nothing
    back and keeps nothing."""
    if len(kept) == of:
        return ", and it is not given back"
    if len(back) == of:
        return ", and it is given back"
    clauses = [f"given back on {findings.listed(back)}"] if back else []
    clauses += [f"not {'' if back else 'given back '}on {findings.listed(kept)}"] if kept else []
    return f", {findings.listed(clauses)}" if clauses else ""


def _idle(material: Material, scenario: str) -> bool:
    return any(where[0] == scenario for where in material.models(LoadKind.IDLE))


def cores(material: Material) -> Reply | None:
    """What a given rate takes, by CPU time a request."""
    for where in material.models(LoadKind.CLOSED, LoadKind.OPEN):
        figures = [
            Figure(stack, count, f"{formatting.digits(count)} cores")
            for stack in material.contenders()
            if (cost := material.get(stack, where, CPU)) is not None
            for count in [cost.centre * 1e-6 * many.CORES_FOR_RPS]
        ]
        if figures:
            rate = f"{many.CORES_FOR_RPS:,} requests/s of {material.name(where)}"
            line = f"{over(figures)}: so many are busy with {rate}, by CPU time a request"
            return Reply(
                line + findings.doubted(material, {where: (CPU,)}), table=many.cores(figures, rate)
            )
    return None


def never(_: Material) -> Reply | None:
    """Of a question that no single run answers."""
    return None
