"""What the loop, the threads, the executor and the collector did, counted from inside.

One Probe watches one process. `watching` switches it on; stacks hand each
handler to `watch`, which gives it back untouched where no Probe is on. What
is counted starts anew at `reset` and is read by `snapshot`, both from any
thread: the harness asks at the edges of its measured window.

Times are perf_counter's, never the loop's own clock, which some loops cache.
A Probe that fails switches itself off and says so; the server goes on serving.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from _thread import get_ident
from array import array
from asyncio import _get_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from threading import current_thread
from typing import Any, TypeVar, cast

from servers.collector_watch import CollectorWatch
from servers.counts import Counts, rounded_us
from servers.executor_watch import ExecutorWatch
from servers.loop_watch import LoopWatch, class_name

MOST_INSTANTS = 4_000_000
"""How many begins and ends of a route are kept between two resets, 16 bytes each."""

Handler = TypeVar("Handler", bound=Callable[..., Any])
_clock = time.perf_counter_ns


@dataclass(slots=True)
class Tally:
    """The requests of one route on one thread and loop."""

    thread: threading.Thread
    loop_thread: bool
    loop_class: str | None
    loop_number: int | None
    handler_us: Counts = field(default_factory=dict)


@dataclass(slots=True)
class RouteWatch:
    """One route since the last reset.

    began, ended: perf_counter instants of handlers in the order in which they
    began and ended; emptied, and `overflown` set, beyond MOST_INSTANTS.
    """

    name: str
    tallies: dict[tuple[threading.Thread, object], Tally] = field(default_factory=dict)
    began: array[int] = field(default_factory=lambda: array("q"))
    ended: array[int] = field(default_factory=lambda: array("q"))
    overflown: bool = False

    def bound(self) -> None:
        """Keep memory in bounds, however long nobody resets."""
        if len(self.began) > MOST_INSTANTS:
            self.overflown = True
            del self.began[:]
            del self.ended[:]


class Probe:
    """Everything that is watched in this process."""

    def __init__(self, *, beat_s: float) -> None:
        self.failure: str | None = None
        self.executor = ExecutorWatch()
        self._collector = CollectorWatch()
        self._routes: dict[str, RouteWatch] = {}
        self._loops: list[object] = []
        self._loop_thread = get_ident()
        self._loop = LoopWatch(beat_s, self._on_beat)
        self._reset_at = _clock()
        self._started_rss: int | None = None

    @contextmanager
    def attached(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Watch `loop`, whose thread this is, and the collector."""
        self._loop_thread = get_ident()
        with self._loop.attached(loop), self._collector.attached():
            yield

    def watch(self, name: str, handler: Handler) -> Handler:
        """`handler`, counted as route `name`: a coroutine function, or a plain one."""
        route = self._routes.setdefault(name, RouteWatch(name))
        record = self._record

        if inspect.iscoroutinefunction(handler):

            @wraps(handler)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                began = _clock()
                route.began.append(began)
                try:
                    return await handler(*args, **kwargs)
                finally:
                    record(route, began)

            return cast(Handler, awaited)

        @wraps(handler)
        def called(*args: Any, **kwargs: Any) -> Any:
            began = _clock()
            route.began.append(began)
            try:
                return handler(*args, **kwargs)
            finally:
                record(route, began)

        return cast(Handler, called)

    def _record(self, route: RouteWatch, began: int) -> None:
        ended = _clock()
        try:
            route.ended.append(ended)
            # The thread itself, not its identifier, which a later thread may have again.
            key = (current_thread(), _get_running_loop())
            tally = route.tallies.get(key)
            if tally is None:
                tally = route.tallies.setdefault(key, self._new_tally(*key))
            us = (ended - began) // 1000
            if us >= 2048:
                us = rounded_us(ended - began)
            tally.handler_us[us] = tally.handler_us.get(us, 0) + 1
        except Exception as error:
            self._fail(error)

    def _new_tally(self, thread: threading.Thread, loop: object) -> Tally:
        return Tally(
            thread=thread,
            loop_thread=get_ident() == self._loop_thread,
            loop_class=None if loop is None else class_name(loop),
            loop_number=None if loop is None else self._number(loop),
        )

    def _number(self, loop: object) -> int:
        """Loops by number, from 1: an identity that means the same on every run."""
        if loop not in self._loops:
            self._loops.append(loop)
        return self._loops.index(loop) + 1

    def _on_beat(self) -> None:
        for route in self._routes.values():
            route.bound()

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or f"{type(error).__name__}: {error}"

    def reset(self, *, instants: bool) -> None:
        """Begin counting anew; the instants too, or they go on from their last reset."""
        self._reset_at = _clock()
        self._loop.reset()
        self.executor.reset()
        self._collector.reset()
        for route in self._routes.values():
            route.tallies = {}
            if instants:
                route.overflown = False
                route.began, route.ended = array("q"), array("q")

    def instants(self, name: str, skip: int, count: int) -> dict[str, Any]:
        """Sums of the instants of `count` requests of a route, after the first `skip`.

        begun, handled: how many have begun and ended since the instants were
        reset. began_ns, ended_ns: sums of CLOCK_REALTIME instants, each less
        `origin_ns`; None where fewer requests were handled, or too many to be kept.
        """
        route = self._routes[name]
        began, ended = route.began[:], route.ended[:]
        origin = _clock()
        known = not route.overflown and min(len(began), len(ended)) >= skip + count
        return {
            "handled": len(ended),
            "begun": len(began),
            "origin_ns": origin + time.time_ns() - _clock(),
            "began_ns": sum(began[skip : skip + count]) - origin * count if known else None,
            "ended_ns": sum(ended[skip : skip + count]) - origin * count if known else None,
        }

    def snapshot(self) -> dict[str, Any]:
        """All that was counted since the reset, as JSON types; durations as [us, count]."""
        return {
            "pid": os.getpid(),
            "seconds": (_clock() - self._reset_at) / 1e9,
            "failure": self.failure or self._loop.failure or self.executor.failure,
            "loop": self._loop.snapshot(),
            "executor": self.executor.snapshot(),
            "collector": self._collector.snapshot(),
            "routes": {
                route.name: [_tally_json(tally) for tally in list(route.tallies.values())]
                for route in self._routes.values()
                if route.tallies
            },
        }

    def glance(self) -> dict[str, Any]:
        """The little that is asked for every second while a load runs, since the reset."""
        return {"loop": self._loop.snapshot(), "executor_queue": self.executor.queued}


def _tally_json(tally: Tally) -> dict[str, Any]:
    counts = tally.handler_us.copy()
    return {
        "thread": tally.thread.name,
        "is_main_thread": tally.thread is threading.main_thread(),
        "is_loop_thread": tally.loop_thread,
        "alive": tally.thread.is_alive(),
        "loop_class": tally.loop_class,
        "loop_number": tally.loop_number,
        "requests": sum(counts.values()),
        "handler_us": sorted(counts.items()),
    }


_active: Probe | None = None


@contextmanager
def watching(*, beat_s: float = 0.01) -> Iterator[Probe]:
    """Switch a Probe on for handlers that are registered from now on. One at a time.

    beat_s: interval of the timer whose lateness is the loop delay.
    """
    global _active
    if _active is not None:
        raise RuntimeError("a Probe is on already in this process")
    probe = _active = Probe(beat_s=beat_s)
    try:
        yield probe
    finally:
        _active = None


def watch(name: str, handler: Handler) -> Handler:
    """`handler` as the route `name` of the Probe that is on, or as it is where none is."""
    return handler if _active is None else _active.watch(name, handler)


def _forget() -> None:
    """A forked worker is another process: its parent's counts are not its own."""
    if _active is not None:
        _active.reset(instants=True)


os.register_at_fork(after_in_child=_forget)
