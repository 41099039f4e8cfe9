"""What can go wrong with the harness itself, as one clear line each."""

from __future__ import annotations


class HarnessError(Exception):
    """The harness cannot go on: the message says why and what to do."""


class GeneratorDied(HarnessError):
    """The load generator ended or fell silent in the middle of a load."""
