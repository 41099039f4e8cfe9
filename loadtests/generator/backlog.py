"""Whether the requests of an open loop pile up, counted while it lasts."""

from __future__ import annotations

from itertools import accumulate

from loopbench.loadtests.messages.reports import Growth

_QUARTER = 16
_BINS = 4 * _QUARTER
"""Of the window: enough for the least of a quarter to be near the least that there was."""


class Backlog:
    """How many requests were due and had not ended, at instants of a load's window.

    open_ns, close_ns: the window. All times are in ns after the instant that arrivals count from.
    """

    def __init__(self, open_ns: int, close_ns: int) -> None:
        self._open_ns, self._close_ns = open_ns, close_ns
        self._length_ns = max(1, close_ns - open_ns)
        # One more on either side: before the window, and after it.
        self._due = [0] * (_BINS + 2)
        self._ended = [0] * (_BINS + 2)
        self._failed = 0

    def add(self, due_ns: int, ended_ns: int | None = None, *, failed: bool = False) -> None:
        """Count an arrival, and when its request ended, right or wrong; None: never."""
        self._due[self._bin(due_ns)] += 1
        if ended_ns is not None:
            self._ended[self._bin(ended_ns)] += 1
        if failed and due_ns >= self._open_ns:
            self._failed += ended_ns is None or ended_ns >= self._close_ns

    def growth(self) -> Growth:
        """Of the requests under way, over the window.

        The least of a quarter, since a queue that is held comes back to its least again and again,
        however long a pause of the machine has made it meanwhile, or has made it at the very end.
        One that is not held has grown from any instant to any other. The first quarter is left
        out: where answers take as long as the lead-in, as many as later are not under way yet.
        """
        held = list(accumulate(map(int.__sub__, self._due, self._ended)))[: _BINS + 1]
        earlier = min(held[_QUARTER : 2 * _QUARTER + 1])
        later = min(held[3 * _QUARTER :])
        middles = self._due[1 + 3 * _QUARTER // 2 : 1 + 7 * _QUARTER // 2]
        return Growth(earlier, later, sum(middles), self._failed)

    def _bin(self, at_ns: int) -> int:
        """Of this instant: 0 before the window, 1 to _BINS in it, and then one for all after."""
        if at_ns < self._open_ns:
            return 0
        return 1 + min(_BINS, (at_ns - self._open_ns) * _BINS // self._length_ns)
