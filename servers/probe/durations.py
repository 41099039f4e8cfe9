"""Counting durations cheaply inside a server, from any thread."""

from __future__ import annotations

from _thread import get_ident

from loopbench.servers.supervision.merging import Pairs

Counts = dict[int, int]
"""Duration in whole microseconds, to three significant digits → how often."""

_EXACT_US = 2048
_BITS = 11


def rounded_us(duration_ns: int) -> int:
    """Microseconds, to three significant digits from 2,048 us on: the lower edge of the
    HdrHistogram bucket that the value belongs to, so that few keys are needed."""
    us = duration_ns // 1000
    if us < _EXACT_US:
        return us
    shift = us.bit_length() - _BITS
    return (us >> shift) << shift


class ThreadCounts:
    """Counts that several threads add to: each thread adds to a dict of its own,
    since reading and writing back a shared count could lose one."""

    __slots__ = ("_by_thread",)

    def __init__(self) -> None:
        self._by_thread: dict[int, Counts] = {}

    def add(self, duration_ns: int) -> None:
        """Count one duration."""
        counts = self._by_thread.get(get_ident())
        if counts is None:
            counts = self._by_thread.setdefault(get_ident(), {})
        us = rounded_us(duration_ns)
        counts[us] = counts.get(us, 0) + 1

    def merged(self) -> Pairs:
        """All threads' counts together, by duration."""
        total: Counts = {}
        for counts in list(self._by_thread.values()):
            for us, count in counts.copy().items():
                total[us] = total.get(us, 0) + count
        return tuple(sorted(total.items()))
