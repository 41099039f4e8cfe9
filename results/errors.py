"""What the reading half refuses, in one line for a person."""

from __future__ import annotations


class ResultsError(Exception):
    """Something cannot be read, shown or written. The message is one line: cause and remedy."""


class UnknownName(ResultsError):
    """A run, stack or scenario that is not there; the message suggests the nearest that is."""
