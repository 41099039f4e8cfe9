"""What is printed through rich."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def captured(write: Callable[[Console], None]) -> list[str]:
    """The lines: as wide as the terminal, without colour where there is none."""
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without µ and – still gets the table
    console = Console(highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        write(console)
    return [line.rstrip() for line in capture.get().splitlines()]


def show_on_console(write: Callable[[Console], None]) -> None:
    """Print them."""
    for line in captured(write):
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
