"""Types of command-line options that more than one command takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import click

LONGEST_BUDGET_S = 86_400.0


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


class Percent(click.ParamType[float]):
    """A share between 0 and 1, written as a percentage: 3% or 3."""

    name = "percentage"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The share; a usage error for anything else."""
        if isinstance(value, float):
            return value
        try:
            share = float(str(value).removesuffix("%")) / 100
        except ValueError:
            share = math.nan
        if not 0.0 < share < 1.0:
            self.fail(f"{value} is no percentage between 0 and 100, as in 3%.", param, ctx)
        return share


class Span(click.ParamType[float]):
    """A time in seconds, written with or without a unit: 90, 90s, 5m, 1h."""

    name = "time"
    _UNITS: ClassVar[dict[str, float]] = {"s": 1.0, "m": 60.0, "h": 3600.0}

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The time in seconds; a usage error for anything else."""
        if isinstance(value, float):
            return value
        text = str(value)
        unit = self._UNITS.get(text[-1:], 1.0)
        try:
            seconds = float(text.rstrip("smh")) * unit
        except ValueError:
            seconds = math.nan
        if not 1.0 <= seconds <= LONGEST_BUDGET_S:
            self.fail(f"{value} is no time from 1s to 24h, as in 120s or 5m.", param, ctx)
        return seconds
