"""Types of command-line options that more than one command takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click


class Seconds(click.FloatRange):
    """A number of seconds within bounds; `nan`, which no bound stops, is none."""

    name = "seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number; a usage error for anything else."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return number


class Folder(click.Path):
    """A folder that may or may not be there. No text at all, which would mean the current folder,
    is none, nor is a name that a terminal cannot show."""

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(file_okay=False, exists=exists, path_type=Path)

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The path; a usage error for what cannot be meant."""
        if not str(value).strip() or not str(value).isprintable():
            self.fail(f"{str(value)!r} is no name of a folder.", param, ctx)
        return super().convert(value, param, ctx)
