"""What connections that stay take, and whether it is given back: from the rows of runs.csv."""

from __future__ import annotations

from collections.abc import Sequence

from loopbench.results.report.data import Material
from loopbench.results.report.questions.reply import (
    Figure,
    Reply,
    over,
)
from loopbench.results.report.sections import pressure
from loopbench.results.report.series import findings, readings
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats import formatting


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
