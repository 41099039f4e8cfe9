"""Part: how the requests of Runs with several server processes were spread over them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from loopbench.results.folder.folder import RunRow
from loopbench.results.report.blocks import Part, paragraph, table
from loopbench.results.report.data import Material
from loopbench.results.stats import formatting


def parts(material: Material) -> Iterator[Part]:
    """A row a Run; nothing where every server was one process, and had no manager."""
    managed = material.folder.plan.own_manager
    runs = {run.run_id: run for run in material.runs if managed or _several(run)}
    if not runs:
        return
    requests: defaultdict[str, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    cpu_ms: defaultdict[str, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    for row in material.observations:
        pid, count = row["pid"], row["requests"]
        if isinstance(pid, int) and isinstance(count, int):
            requests[str(row["run_id"])][pid] += count
    for row in material.threads:
        pid, spent = row["pid"], row["cpu_ms"]
        if isinstance(pid, int) and isinstance(spent, float):
            cpu_ms[str(row["run_id"])][pid] += spent
    yield paragraph(f"{_HOW[managed]} {_FEW_CPUS}")
    yield table(
        "Requests and CPU time by process, the most first",
        ("Round", "stack", "scenario", "processes", "requests", "CPU ms of living threads"),
        [
            (
                str(run.round),
                run.stack,
                run.scenario,
                f"{run.number('processes'):g}",
                _listed(requests[run_id]),
                _listed(cpu_ms[run_id]),
            )
            for run_id, run in runs.items()
        ],
        names=3,
        folded=len(runs) > _MOST_ROWS,
    )


_MOST_ROWS = 20

_HOW = {
    False: "Servers ran as several processes on one port. CPU time and memory are sums over them; "
    "the kernel spreads connections by a hash, unevenly, and a process that got none has no "
    "requests here.",
    True: "Servers ran as workers of their own manager: aiohttp under gunicorn, Hypercorn and "
    "uvicorn under what they bring. CPU time and memory are sums over the workers and the "
    "manager, which has CPU time here and no requests; memory that a worker shares with its "
    "manager is counted in both. All workers accept from one socket: who is first gets the "
    "connection.",
}
_FEW_CPUS = "Where they share a CPU the figures show what more processes cost, not how they scale."


def _several(run: RunRow) -> bool:
    return (run.number("processes") or 1) > 1


def _listed(by_pid: dict[int, int] | dict[int, float]) -> str:
    return (
        " ".join(formatting.digits(value) for value in sorted(by_pid.values(), reverse=True)) or "–"
    )
