"""Section: where requests ran, and what the loop and the executor did meanwhile."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from loopbench.results.folder.scenarios import Where, first_loads
from loopbench.results.report.blocks import Part, Plot, Table, paragraph, table
from loopbench.results.report.data import Material
from loopbench.results.report.sections import processes
from loopbench.results.report.series import readings
from loopbench.results.report.series.by_cell import by_cell
from loopbench.results.schema import RUNS, Row
from loopbench.results.stats import formatting

METRICS = {
    "loop_delay_p99_ms": "loop delay p99, ms",
    "loop_utilisation": "loop utilisation",
    "executor_wait_p99_ms": "executor wait p99, ms",
}
"""Of the whole server process: shown for the first load of a scenario."""


def parts(material: Material) -> Iterator[Part]:
    """The facts by route and stack, then delays by scenario."""
    placed = _placed(material)
    if placed is not None:
        yield paragraph(
            "Counted inside the servers, for every request of the measured windows. A handler on "
            "the loop's thread holds up all others while it computes; one in a worker thread waits "
            "for a free thread first.",
        )
        yield placed
    yield from processes.parts(material)
    if material.threads:
        yield _threads_table(material)
    if material.probe_cost:
        yield _probe_table(material)
    wheres = first_loads(material.loads)
    panels = readings.panels(material, wheres, METRICS, whole=True)
    if panels:
        yield Plot(
            "Loop and executor",
            "Loop delay is how late a 10 ms timer on the server's loop fires: what every other "
            "request on that loop waits too. Utilisation is the share of time that the loop "
            "worked instead of waiting for something to do. Executor wait is the time from the "
            "submission of a call until a worker thread starts it.",
            panels,
            material.keys(readings.shown_stacks(material, wheres, tuple(METRICS))),
            _table(material, wheres),
        )


Place = tuple[str, str, bool, bool, str, str]
"""Route, stack, main thread, loop thread, loop class and loop number."""


def _placed(material: Material) -> Table | None:
    stacks = {run.run_id: run.stack for run in material.runs}
    requests: defaultdict[Place, int] = defaultdict(int)
    threads: defaultdict[Place, set[str]] = defaultdict(set)
    runs: defaultdict[Place, set[str]] = defaultdict(set)
    for row in material.observations:
        stack = stacks.get(str(row["run_id"]))
        count = row["requests"]
        if stack is None or not isinstance(count, int):
            continue
        place = _place(row, stack)
        requests[place] += count
        threads[place].add(str(row["thread"]))
        runs[place].add(str(row["run_id"]))
    if not requests:
        return None
    totals: defaultdict[tuple[str, str], int] = defaultdict(int)
    for place, count in requests.items():
        totals[place[:2]] += count
    several = any(place[5] not in ("", "1") for place in requests)
    places = sorted(requests, key=lambda place: (place[0], material.place(place[1]), place))
    return table(
        "Route and stack: thread and loop",
        ("route", "stack", "ran on", "threads", "loop", "Runs", "requests", "share"),
        (
            (
                place[0],
                place[1],
                _kind(place),
                _threads(threads[place]),
                _loop(place, several),
                f"{len(runs[place])}",
                f"{requests[place]:,}",
                f"{requests[place] / totals[place[:2]]:.1%}" if totals[place[:2]] else "–",
            )
            for place in places
        ),
        names=5,
    )


def _place(row: Row, stack: str) -> Place:
    return (
        str(row["route"]),
        stack,
        bool(row["is_main_thread"]),
        bool(row["is_loop_thread"]),
        str(row["loop_class"] or ""),
        str(row["loop_number"] or ""),
    )


def _kind(place: Place) -> str:
    main, loop = place[2:4]
    if loop:
        return "main thread, on the loop" if main else "a loop's thread"
    return "main thread, beside the loop" if main else "worker threads"


def _loop(place: Place, several: bool) -> str:
    """Class of the loop; its number too where a server had several."""
    if not place[4]:
        return "none"
    short = place[4].rpartition(".")[2]
    return f"{short} no. {place[5]}" if several else short


def _threads(names: Iterable[str]) -> str:
    every = sorted(names)
    return formatting.listed(every, 2) if len(every) > 3 else ", ".join(every)


def _probe_table(material: Material) -> Table:
    """What the watching costs, as `loadtests probe-cost --out` counted it."""

    def counted(row: Row, column: str) -> str:
        value = row[column]
        return formatting.digits(value) if isinstance(value, float) else "–"

    def share(row: Row, column: str, sign: str = "+") -> str:
        value = row[column]
        return f"{value:{sign}.2%}" if isinstance(value, float) else "–"

    return table(
        "What the probe costs: instructions of a request on /async, and of one of its 100 beats "
        "a second",
        (
            *("stack", "probe off", "probe on", "added", "added at rest"),
            *("spread of the counts", "one beat"),
        ),
        (
            (
                str(row["stack"]),
                counted(row, "off_instructions"),
                counted(row, "on_instructions"),
                share(row, "share"),
                share(row, "resting_share"),
                share(row, "spread", ""),
                counted(row, "beat_instructions"),
            )
            for row in material.probe_cost
        ),
    )


def _threads_table(material: Material) -> Table:
    """Threads that differ in a number only are counted together; a Run's sum, then the median."""
    runs = {run.run_id: run for run in material.runs}
    sums: defaultdict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(dict)
    for row in material.threads:
        run = runs.get(str(row["run_id"]))
        cpu, waited = row["cpu_ms"], row["run_queue_ms"]
        if run is None or not isinstance(cpu, float) or not isinstance(waited, float):
            continue
        family = re.sub(r"\d+$", "…", str(row["thread"]))
        held = sums[run.scenario, run.stack, family].setdefault(run.run_id, [0.0, 0.0, 0.0])
        for place, value in enumerate((1.0, cpu, waited)):
            held[place] += value
    scenarios = {where[0]: place for place, where in enumerate(material.loads)}
    order = sorted(sums, key=lambda key: (scenarios[key[0]], material.place(key[1]), key[2]))
    rows = []
    for key in order:
        count, cpu, waited = map(statistics.median, zip(*sums[key].values(), strict=True))
        rows.append((*key, f"{count:g}", formatting.digits(cpu), formatting.digits(waited)))
    return table(
        "Threads at the end of the window: their CPU time, and their wait for a CPU",
        ("scenario", "stack", "thread", "threads", "CPU ms", "runnable without a CPU ms"),
        rows,
        names=3,
        folded=True,
    )


def _table(material: Material, wheres: Sequence[Where]) -> Table:
    return by_cell(
        material,
        "Loop and executor by scenario and stack",
        wheres,
        ("loop delay p50 ms", "loop_delay_p50_ms"),
        ("p99 ms", "loop_delay_p99_ms"),
        ("max ms", "loop_delay_max_ms"),
        ("utilisation", "loop_utilisation"),
        ("longest stretch ms", "loop_longest_stretch_ms"),
        ("executor wait mean ms", "executor_wait_mean_ms"),
        ("p99 ms", "executor_wait_p99_ms"),
        ("max ms", "executor_wait_max_ms"),
        ("threads", "executor_threads_max"),
        ("queue", "executor_queue_max"),
        *((column.heading, column.name) for column in RUNS.columns if column.heading),
        name=itemgetter(0),
        folded=True,
    )


def loop_classes(material: Material) -> dict[str, set[str]]:
    """By stack the classes of the loops that the probes watched."""
    classes: defaultdict[str, set[str]] = defaultdict(set)
    for run in material.runs:
        loop_class = run.values["loop_class"]
        if loop_class:
            classes[run.stack].add(str(loop_class))
    return dict(classes)
