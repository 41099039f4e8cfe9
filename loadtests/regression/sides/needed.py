"""What a server needs of an environment: its stack's packages, and those of the suite's routes."""

from __future__ import annotations

from collections.abc import Iterable

OF_THE_SUITE = ("aiosqlite", "click", "httptools", "psutil", "wsproto")
"""What the suite's own server modules import in any stack, drivers of chosen stores left out."""


def needed(packages: Iterable[str]) -> list[str]:
    """The distributions whose closure a server runs on. packages: those of its stacks."""
    return sorted({*packages, *OF_THE_SUITE})
