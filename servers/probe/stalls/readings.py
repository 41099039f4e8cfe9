"""Stalls as a Probe tells them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from loopbench.results.schema import Cause
from loopbench.servers.probe.stalls.stall import Stall
from loopbench.servers.supervision.merging import FIRST_KNOWN, JOINED, SUM


@dataclass(frozen=True, slots=True)
class StallRow:
    """A Stall as stalls.csv has it, but for the run_id."""

    pid: int
    started_s: float
    duration_ms: float
    cause: Cause
    detail: str
    route: str | None
    request: int | None
    task: str | None
    file: str | None
    line: int | None
    function: str | None
    frames: str | None


def stall_row(stall: Stall, origin_ns: int) -> StallRow:
    """Of this process; its begin after `origin_ns`, perf_counter."""
    frame = stall.frame
    return StallRow(
        pid=os.getpid(),
        started_s=(stall.started_ns - origin_ns) / 1e9,
        duration_ms=stall.duration_ns / 1e6,
        cause=stall.cause,
        detail=stall.detail,
        route=stall.route,
        request=stall.request,
        task=stall.task,
        file=None if frame is None else frame.file,
        line=None if frame is None else frame.line,
        function=None if frame is None else frame.function,
        frames=" < ".join(map(str, stall.frames)) or None,
    )


def _by_start(values: list[Sequence[StallRow]]) -> tuple[StallRow, ...]:
    """Those of all processes, in the order of their begins."""
    return tuple(sorted(JOINED(values), key=lambda row: row.started_s))


@dataclass(frozen=True, slots=True)
class StallsReading:
    """Stalls since the reset. unwatched: why no loop is watched, in words; None while one is.
    beyond: how many there were beyond those kept."""

    unwatched: Annotated[str | None, FIRST_KNOWN]
    stalls: Annotated[tuple[StallRow, ...], _by_start]
    beyond: Annotated[int, SUM]
