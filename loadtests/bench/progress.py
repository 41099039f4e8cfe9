"""How far a bench has come: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from loopbench.results.schema import Row

if TYPE_CHECKING:
    from rich.progress import Progress

_TERMINAL_BY_FORCE = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""Variables by which Rich may take for a terminal what is none."""


class Reporter(Protocol):
    """What a bench tells a person while it runs."""

    def run_begins(self, text: str) -> None:
        """A Run is about to be measured."""

    def expect(self, more: int) -> None:
        """So many Runs more than planned are to come."""

    def run_ends(self, text: str | None) -> None:
        """A Run is done; `text` says what was wrong with it, if anything."""

    def note(self, text: str) -> None:
        """One line that is worth keeping on the screen."""


def first_figures(rows: Sequence[Row]) -> str | None:
    """The rate and the median of each load of a Run, for whom waits for the table; None where it
    has no figures."""
    figures = [
        f"{row['load']} {_digits(rate)}/s, median {_digits(median)} ms"
        for row in rows
        if isinstance(rate := row.get("throughput_rps"), float)
        and isinstance(median := row.get("service_time_p50_ms"), float)
    ]
    return f"{rows[0]['run_id']}: {'; '.join(figures)}" if figures else None


def _digits(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


class _Bar:
    def __init__(self, progress: Progress, total: int, done: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total, completed=done)
        self._total = total

    def expect(self, more: int) -> None:
        self._total += more
        self._progress.update(self._task, total=self._total)

    def run_begins(self, text: str) -> None:
        self._progress.update(self._task, description=text)

    def run_ends(self, text: str | None) -> None:
        if text is not None:
            self.note(text)
        self._progress.advance(self._task)

    def note(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Lines:
    def __init__(self, total: int, done: int) -> None:
        self._total = total
        self._done = done
        self._begun = ""

    def expect(self, more: int) -> None:
        self._total += more

    def run_begins(self, text: str) -> None:
        self._begun = text

    def run_ends(self, text: str | None) -> None:
        self._done += 1
        self.note(f"[{self._done}/{self._total}] {text or self._begun}")

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def reporting(total: int, done: int) -> Iterator[Reporter]:
    """A Reporter on standard error for `total` Runs, of which `done` were done before."""
    if not sys.stderr.isatty() and os.environ.keys().isdisjoint(_TERMINAL_BY_FORCE):
        yield _Lines(total, done)
        return
    from rich.console import Console  # late: it takes long, and plain lines need none of it
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(total, done)
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress, total, done)
