"""What is printed through rich."""

from __future__ import annotations

import io
import shutil
import sys
import textwrap
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


def folded(line: str, begin: str = "") -> str:
    """A line, behind `begin`, in as many lines as the terminal needs, the further ones under the
    first one's text. Where no terminal is, it stays whole, for grep."""
    if not sys.stdout.isatty():
        return begin + line
    text = line.lstrip(" -")
    begin += line[: len(line) - len(text)]
    return textwrap.fill(
        text,
        shutil.get_terminal_size().columns,
        initial_indent=begin,
        subsequent_indent=" " * len(begin),
        break_long_words=False,
        break_on_hyphens=False,
    )


def show_on_console(write: Callable[[Console], None]) -> None:
    """Print them."""
    for line in captured(write):
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
