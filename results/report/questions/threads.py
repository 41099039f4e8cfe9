"""What worker threads cost, and how far their pool goes: from the rows of runs.csv."""

from __future__ import annotations

from loopbench.results.folder.scenarios import Where
from loopbench.results.report.data import Material
from loopbench.results.report.questions.reply import (
    Figure,
    Reply,
    capital,
    figures_alone,
    milliseconds,
    over,
    times,
)
from loopbench.results.report.sections import pressure
from loopbench.results.report.sections.throughput import CPU, THROUGHPUT
from loopbench.results.report.series import findings
from loopbench.results.schema import Family
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.ratios import Ratio


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
            Figure(figure.stack, wait.centre, milliseconds(wait))
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
        waits.append(Figure(stack, wait.centre, milliseconds(wait)))
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
