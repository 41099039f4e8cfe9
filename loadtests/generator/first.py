"""Locust, which a process that loads imports before all else: that patches the standard library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata

from loopbench.command_line import imports


@contextmanager
def entry_points_once() -> Iterator[None]:
    """Have each group of entry points looked up once within.

    gevent asks for its plugins before and after it patches each module, some 27 times, and each
    time Python reads what is written about every installed package: a sixth of the CPU time of the
    whole start.
    """
    ask = metadata.entry_points
    metadata.entry_points = cache(ask)  # type: ignore[assignment]
    try:
        yield
    finally:
        metadata.entry_points = ask


with imports(), entry_points_once():
    import locust

__all__ = ["locust"]
