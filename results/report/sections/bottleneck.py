"""Section: what was the limit of the scenarios that ask a database."""

from __future__ import annotations

from collections.abc import Iterator

from loopbench.results.report.blocks import Part, Plot, Table, Text, paragraph, table
from loopbench.results.report.charts.lines import courses
from loopbench.results.report.data import Material
from loopbench.results.report.series import readings
from loopbench.results.report.series.readings import NOTHING
from loopbench.results.schema import Dispatch
from loopbench.results.stats import formatting
from loopbench.results.stats.bottleneck import Limit, Word, limits

DRIVERS = {Dispatch.ASYNC: "asynchronous driver", Dispatch.SYNC: "synchronous driver in threads"}
_PANELS = {
    "throughput_rps": ("Requests/s", False),
    "response_time_p50_ms": ("Response p50, ms", True),
}
"""Column to title, and whether the axis is logarithmic: the same for both drivers."""


def parts(material: Material) -> Iterator[Part]:
    """The sweep over users, and a verdict a Cell."""
    cell_limits = limits(material.folder, material.summaries)
    if not cell_limits:
        return
    yield from _sweep(material, cell_limits)
    yield _table(material, cell_limits)
    yield paragraph(
        "A loop or a CPU is full from 0.9 on; requests queue where the median wait is a quarter of "
        "the median response time or more. What is full comes before what is queued for. `cannot "
        "tell`: a reading that decides is missing, or two limits are alike. The whole rule is in "
        "`docs/data.md`.",
    )
    servers = _servers(material)
    if servers:
        yield Text((servers,))


def _table(material: Material, cell_limits: list[Limit]) -> Table:
    rows = []
    for limit in cell_limits:
        cell_readings = limit.readings
        rows.append(
            (
                limit.cell[1],
                limit.cell[0],
                limit.verdict.word.value,
                "" if limit.verdict.word is Word.NONE_SEEN else limit.verdict.why,
                *map(
                    _share,
                    (
                        cell_readings.loop,
                        cell_readings.server_cpu,
                        cell_readings.database_cpu,
                        cell_readings.client_cpu,
                    ),
                ),
                *map(
                    _number,
                    (cell_readings.threads, cell_readings.thread_wait_ms, cell_readings.pool_size),
                ),
                *map(_number, (cell_readings.pool_wait_ms, cell_readings.response_ms)),
                readings.noted(material, limit.cell),
            )
        )
    return table(
        "What was the limit",
        (
            "scenario", "stack", "limit", "because", "loop", "server CPU", "database CPU",
            "generator CPU", "threads", "thread wait p50 ms", "pool", "pool wait p50 ms",
            "response p50 ms", "Warnings",
        ),
        rows,
        names=4,
    )  # fmt: skip


def _sweep(material: Material, cell_limits: list[Limit]) -> Iterator[Part]:
    """Throughput and response time over users, a panel a driver."""
    panels, stacks = [], set()
    for metric, (title, logarithmic) in _PANELS.items():
        for driver, name in DRIVERS.items():
            lines = []
            for stack in material.stacks:
                pairs = sorted(
                    (float(limit.users), summary.centre)
                    for limit in cell_limits
                    if limit.cell[0] == stack
                    and limit.swept
                    and limit.dispatch == driver
                    and (summary := material.summaries.get(limit.cell, metric)) is not None
                )
                if (line := readings.course(material, stack, pairs)) is not None:
                    lines.append(line)
                    stacks.add(stack)
            if lines:
                panels.append(
                    courses(
                        f"{title}: {name}", lines, "users", doubling=True, logarithmic=logarithmic
                    )
                )
    if panels:
        yield Plot(
            "One row of the database: users, by driver",
            "The same row by an asynchronous driver on the loop and by a synchronous one in "
            "worker threads, over more and more users. Where a line is flat something is full or "
            "queued for: the table below names it.",
            tuple(panels),
            material.keys(stacks),
            _sweep_table(material, cell_limits),
            abreast=2,
        )


def _sweep_table(material: Material, cell_limits: list[Limit]) -> Table:
    rows = []
    for limit in cell_limits:
        if limit.swept:
            summaries = [material.summaries.get(limit.cell, metric) for metric in _PANELS]
            rows.append(
                (
                    formatting.counted(limit.users, "user"),
                    *(limit.cell[1], limit.cell[0]),
                    *map(readings.value, summaries),
                )
            )
    return table(
        "By users", ("load", "scenario", "stack", "requests/s", "response p50 ms"), rows, names=3
    )


def _servers(material: Material) -> str:
    """Which stores these were, as environment.json has it."""
    stores = material.folder.environment.get("stores")
    if not isinstance(stores, dict) or not stores:
        return ""
    versions = (
        f"{formatting.plain(name)}: {formatting.plain(store.get('version') or 'version not read')}"
        for name, store in stores.items()
        if isinstance(store, dict)
    )
    return f"Stores: {'; '.join(versions)}."


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _number(value: float | None) -> str:
    return NOTHING if value is None else readings.number(value)
