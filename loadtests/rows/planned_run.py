"""A Run's place in its bench, by which its rows are told apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One Cell in one Round. `round` and `position` count from 1."""

    run_id: str
    round: int
    position: int
    stack: str
    scenario: str


def run_id(round_number: int, stack: str, scenario: str) -> str:
    """The key of a Run in every table of a results folder."""
    return f"{round_number:02d}.{stack}.{scenario}"
