"""Failed requests in words, for a person who waits for figures."""

from __future__ import annotations

from collections.abc import Iterable

from loopbench.loadtests.messages.reports import Failure

_MOST_REASONS = 3


def worst(failures: Iterable[Failure]) -> list[Failure]:
    """Those with the commonest reasons, the most frequent first."""
    return sorted(failures, key=lambda failure: -failure.count)[:_MOST_REASONS]


def in_words(failure: Failure) -> str:
    """How often, and why."""
    example = "" if failure.example in failure.reason else f" ({failure.example})"
    often = "once" if failure.count == 1 else f"{failure.count:,} times"
    return f"{often} {failure.reason}{example}"
