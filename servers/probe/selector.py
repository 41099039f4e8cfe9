"""How long a loop waits in its selector, and how long it stays away from it."""

from __future__ import annotations

import math
import select
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_clock = time.perf_counter
_Ready = list[tuple[selectors.SelectorKey, int]]


@dataclass(frozen=True, slots=True)
class SelectorWatch:
    """A selector to make a loop with, and what it has counted.

    read: seconds waited and the longest stretch between two calls, since the
    reset; a wait or a stretch that still lasts is included.
    away_since: when the loop came back from its last wait, perf_counter; None while it waits.
    rest: whether stretches count from now on, of one under way its rest; waits always do.
    """

    selector: selectors.BaseSelector
    reset: Callable[[], None]
    read: Callable[[], tuple[float, float]]
    away_since: Callable[[], float | None]
    rest: Callable[[bool], None]


Overdue = Callable[[float, float], None]


def watched_selector(overdue_s: float, overdue: Overdue) -> SelectorWatch:
    """A selector of the platform's best kind that keeps the time of its waits.

    overdue: is told begin and end of every stretch between two calls that is longer than
    `overdue_s`, perf_counter, in the loop's thread.

    A call that must not wait (timeout 0) is a return to the selector but no
    wait: its system call counts as work.
    """
    if hasattr(select, "epoll"):
        selector = selectors.EpollSelector()
        waits = _epoll_wait(selector, rounds=False), _epoll_wait(selector, rounds=True)
        return _watch(selector, *waits, overdue_s, overdue)
    fallback = selectors.DefaultSelector()
    return _watch(fallback, fallback.select, fallback.select, overdue_s, overdue)


def _epoll_wait(
    selector: selectors.EpollSelector, *, rounds: bool
) -> Callable[[float | None], _Ready]:
    """`EpollSelector.select` in fewer steps, which pays for the readings of the clock.

    asyncio's loop turns ten times and more for one request of some stacks, so
    that a call on top of each turn would cost what all else here costs. Most
    turns find nothing, and end there. The rules are selectors': an error or a
    hang-up makes a descriptor both readable and writable, and timeouts round up
    to whole milliseconds.

    rounds: whether they are rounded here, as selectors does it, or by epoll,
    which rounds in the same way (Modules/selectmodule.c of CPython). That pays
    for more of what is watched; at rest it would make the loop faster than the
    one that nobody watches.
    """
    epoll: Any = selector._selector  # type: ignore[attr-defined]
    keys: dict[int, selectors.SelectorKey] = selector._fd_to_key  # type: ignore[attr-defined]
    poll, find = epoll.poll, keys.get
    readable, only_in, only_out = select.EPOLLIN, ~select.EPOLLIN, ~select.EPOLLOUT
    read, write = selectors.EVENT_READ, selectors.EVENT_WRITE

    def wait(timeout: float | None) -> _Ready:
        if timeout is None:
            timeout = -1
        elif timeout <= 0:
            timeout = 0
        elif rounds:
            timeout = math.ceil(timeout * 1e3) * 1e-3
        try:
            events: list[Any] = poll(timeout, len(keys) or 1)
        except InterruptedError:
            return []
        if not events:
            return events
        ready = []
        for fd, event in events:
            key = find(fd)
            if key:
                mask = (
                    read
                    if event == readable
                    else (event & only_out and read) | (event & only_in and write)
                )
                ready.append((key, mask & key.events))
        return ready

    return wait


def _watch(
    selector: selectors.BaseSelector,
    watching: Callable[[float | None], _Ready],
    at_rest: Callable[[float | None], _Ready],
    overdue_s: float,
    overdue: Overdue,
) -> SelectorWatch:
    # Variables of a function and not attributes: they cost a fraction of those.
    # One comparison a turn serves the longest stretch and those that are too long.
    idle = longest = noted = 0.0
    began = left = _clock()
    resting, wait = False, watching

    def timed(timeout: float | None = None) -> _Ready:
        nonlocal idle, began, left
        began = _clock()
        if began - left > noted:
            note(began - left)
        if timeout or timeout is None:
            ready = wait(timeout)
            left = _clock()
            idle += left - began
            return ready
        left = began
        return wait(0)

    def note(stretch: float) -> None:
        nonlocal longest
        longest = max(longest, stretch)
        set_noted()
        if stretch > overdue_s:
            overdue(left, began)

    def set_noted() -> None:
        nonlocal noted
        noted = math.inf if resting else min(longest, overdue_s)

    def rest(rests: bool) -> None:
        nonlocal resting, wait, left
        if resting and not rests and began <= left:  # in a stretch: the rest of it counts
            left = _clock()
        resting, wait = rests, at_rest if rests else watching
        set_noted()

    def away_since() -> float | None:
        since, until = began, left
        return None if since > until else until

    def reset() -> None:
        nonlocal idle, longest, began, left
        now = _clock()
        if began > left:  # in a wait: the rest of it counts
            began = now
        else:
            left = now
        idle = longest = 0.0
        set_noted()

    def read() -> tuple[float, float]:
        # First the counts, then the clock: the loop may turn between two steps of this thread.
        waited, away, since, until = idle, longest, began, left
        now = _clock()
        if since > until:
            return waited + now - since, away
        return waited, away if resting else max(away, now - until)

    selector.select = timed  # type: ignore[method-assign]
    return SelectorWatch(selector, reset, read, away_since, rest)
