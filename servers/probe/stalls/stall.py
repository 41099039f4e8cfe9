"""One stall of a loop, and what was read while it lasted."""

from __future__ import annotations

from dataclasses import dataclass

from loopbench.results.schema import Cause


@dataclass(frozen=True, slots=True)
class Frame:
    """One Python frame: a file's name in short, a line, a function."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}"


@dataclass(frozen=True, slots=True)
class Stall:
    """One stretch in which the loop served nobody.

    started_ns: perf_counter. route, request, task, frame: None where there was none, or none was
    seen. frame: the innermost outside the standard library. frames: the innermost few, innermost
    first.
    """

    started_ns: int
    duration_ns: int
    cause: Cause
    detail: str
    route: str | None
    request: int | None
    task: str | None
    frame: Frame | None
    frames: tuple[Frame, ...]

    @property
    def line(self) -> str:
        """The stall for a person at a terminal, as one line."""
        where = "" if self.frame is None else f" at {self.frame}"
        route = "" if self.route is None else f" in {self.route}"
        return f"{self.duration_ns / 1e6:.1f} ms{where}{route}: {self.cause}, {self.detail}"
