"""Command-line options that more than one command takes, and their types."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import reduce, wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

T = TypeVar("T")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

LONGEST_BUDGET_S = 86_400.0
MOST_PROCESSES = 64
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


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

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; a usage error for what cannot be meant."""
        if not str(value).strip() or not str(value).isprintable():
            self.fail(f"{str(value)!r} is no name of a folder.", param, ctx)
        return super().convert(value, param, ctx)


class Parsed(click.ParamType[T]):
    """What a text means, as `parse` reads it; what it raises as a ValueError is a usage error.

    A default that is no text is taken as it is.
    """

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """The meaning; a usage error in the words of the ValueError."""
        if not isinstance(value, str | int):
            return cast(T, value)
        try:
            return self._parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _share(text: str) -> float:
    share = _number(text.removesuffix("%")) / 100
    if not 0.0 < share < 1.0:
        raise ValueError(f"{text!r} is no percentage between 0 and 100, as in 3%.")
    return share


def _span(text: str) -> float:
    seconds = _number(text.rstrip("smh")) * _UNITS.get(text[-1:], 1.0)
    if not 1.0 <= seconds <= LONGEST_BUDGET_S:
        raise ValueError(f"{text!r} is no time from 1s to 24h, as in 120s or 5m.")
    return seconds


PERCENT = Parsed("percentage", _share)
"""A share between 0 and 1, written as a percentage: 3% or 3."""

SPAN = Parsed("time", _span)
"""A time in seconds, written with or without a unit: 90, 90s, 5m, 1h."""


PROCESSES = click.option(
    "--processes",
    type=click.IntRange(1, MOST_PROCESSES),
    default=1,
    show_default=True,
    help="Run each server as so many processes that share a port.",
)


def together(*options: Decorator) -> Decorator:
    """Options that several commands take, as one decorator that lists them in this order."""
    return lambda command: reduce(lambda inner, option: option(inner), reversed(options), command)


def as_one(name: str, make: Callable[..., Any], options: Decorator) -> Decorator:
    """Options whose values a command takes as one argument: what `make` makes of them.

    Each parameter of `make` is one of these options; one with a default may be missing.
    """
    parts = inspect.signature(make).parameters

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def called(**values: Any) -> Any:
            mine = {part: values.pop(part) for part in parts if part in values}
            return command(**values, **{name: make(**mine)})

        return options(called)

    return decorate
