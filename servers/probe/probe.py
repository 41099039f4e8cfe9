"""What the loop, the threads, the executor and the collector did, counted from inside.

One Probe watches one process. `watching` switches it on; stacks hand each
handler to `active.watch`, which gives it back untouched where no Probe is on. What
is counted starts anew at `reset` and is read by `observe`, both from any
thread: the harness asks at the edges of its measured window. Between `pause` and
`resume` the Probe rests, and the server serves as if there were none.

Times are perf_counter's, never the loop's own clock, which some loops cache.
A Probe that fails says so in what it answers; the server goes on serving.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from _thread import get_ident
from asyncio import _get_running_loop
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import wraps
from selectors import BaseSelector
from threading import current_thread
from typing import Any, cast

from loopbench.servers.probe import active
from loopbench.servers.probe.active import Handler, Made
from loopbench.servers.probe.connection_pool import PoolWatch
from loopbench.servers.probe.event_loop import LoopWatch, class_name
from loopbench.servers.probe.executor import ExecutorWatch, WatchedExecutor
from loopbench.servers.probe.garbage_collector import CollectorWatch
from loopbench.servers.probe.readings import InstantSums, Moment, Observation, TallyReading
from loopbench.servers.probe.stalls.stall import Stall
from loopbench.servers.probe.stalls.watcher import MOST_CPU, StallWatcher
from loopbench.servers.probe.tally import MOST_FRESH, MOST_TALLIES, RouteWatch, Tally, tally_reading
from loopbench.servers.probe.thread_pools import ThreadPoolsWatch
from loopbench.servers.supervision import os_stats

_clock = time.perf_counter_ns
_now = time.perf_counter
"""In seconds: it takes half of the time of the one in ns, and each request reads it twice."""


class Probe:
    """Everything that is watched in this process."""

    def __init__(
        self,
        *,
        beat_s: float,
        stall_s: float,
        on_stall: Callable[[Stall], None] | None = None,
        most_cpu: float = MOST_CPU,
    ) -> None:
        self.failure: str | None = None
        self.executor = ExecutorWatch()
        self._thread_pools = ThreadPoolsWatch(lambda: self.executor.executor)
        self.pool = PoolWatch()
        self._collector = CollectorWatch()
        self._routes: dict[str, RouteWatch] = {}
        self._switches: list[Callable[[bool], None]] = []
        self._settling = threading.Lock()
        self._loops: list[object] = []
        self._loop_thread: int | None = get_ident()
        self._stalls = StallWatcher(
            int(stall_s * 1e9), self._collector.long, self._ended, on_stall, most_cpu
        )
        self._loop = LoopWatch(beat_s, self._on_beat, self._stalls)
        self._reset_at = _clock()

    @contextmanager
    def attached(self, loop: asyncio.AbstractEventLoop | None) -> Iterator[None]:
        """Watch `loop`, whose thread this is, where there is one that serves; and the collector."""
        self._loop_thread = None if loop is None else get_ident()
        with ExitStack() as held:
            if loop is not None:
                held.enter_context(self._loop.attached(loop))
                held.enter_context(self._stalls.attached(loop, self._loop.clock))
            held.enter_context(self._collector.attached())
            yield

    def new_selector(self) -> BaseSelector:
        """The selector to make the watched loop with: it keeps the time of its waits."""
        return self._loop.new_selector()

    def new_executor(self, threads: int, prefix: str) -> ThreadPoolExecutor:
        """The default executor to give to the watched loop."""
        return WatchedExecutor(threads, prefix, self.executor)

    def watch(self, name: str, handler: Handler) -> Handler:
        """`handler`, counted as route `name`: a coroutine function, or a plain one."""
        route = self._routes.setdefault(name, RouteWatch(name))
        if inspect.iscoroutinefunction(handler):
            watched = self._watched_coroutine(route, handler)
        else:
            watched = self._watched_call(route, handler)
        return cast(Handler, wraps(handler)(watched))

    def watch_by_turns(
        self,
        name: str,
        handler: Handler,
        whole: Callable[[Handler], Made],
        put: Callable[[Made], None],
    ) -> None:
        """The same for a `handler` of one argument whose application can replace what it calls.

        whole: makes of a handler what the application calls. put: has it call that from now on; at
        rest it is made of `handler` itself, so that nothing is in the way of a request.
        """
        route = self._routes.setdefault(name, RouteWatch(name))
        if inspect.iscoroutinefunction(handler):
            watched = self._watched_coroutine_of_request(route, handler)
        else:
            watched = self._timed_call(route, handler)
        observed, resting = whole(cast(Handler, wraps(handler)(watched))), whole(handler)
        self._switches.append(lambda rests: put(resting if rests else observed))
        put(observed)

    def _timed_call(self, route: RouteWatch, handler: Callable[..., Any]) -> Callable[..., Any]:
        note = self._note

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = _now()
            try:
                return handler(*args, **kwargs)
            finally:
                note(route, began, _now())

        return timed

    def _watched_call(self, route: RouteWatch, handler: Callable[..., Any]) -> Callable[..., Any]:
        timed = self._timed_call(route, handler)
        chosen = timed

        def choose(rests: bool) -> None:
            nonlocal chosen
            chosen = handler if rests else timed

        def called(*args: Any, **kwargs: Any) -> Any:
            return chosen(*args, **kwargs)

        self._switches.append(choose)
        return called

    def _watched_coroutine(
        self, route: RouteWatch, handler: Callable[..., Any]
    ) -> Callable[..., Any]:
        note, fail = self._note, self._fail
        # Variables of a function and not attributes: they cost a fraction of those. The list and
        # not its method: the interpreter then appends without a call.
        loop, fresh, resting = route.loop, route.fresh, False

        def choose(rests: bool) -> None:
            nonlocal resting
            resting = rests

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            nonlocal loop, fresh
            if resting:
                return await handler(*args, **kwargs)
            began = _now()
            try:
                return await handler(*args, **kwargs)
            finally:
                # A coroutine runs on its loop's thread, so that the loop says both.
                if _get_running_loop() is loop:
                    try:
                        fresh.append(began)
                        fresh.append(_now())
                    except Exception as error:
                        fail(error)
                else:
                    note(route, began, _now())
                    loop, fresh = route.loop, route.fresh

        self._switches.append(choose)
        return awaited

    def _watched_coroutine_of_request(
        self, route: RouteWatch, handler: Callable[[Any], Any]
    ) -> Callable[..., Any]:
        """The same for a `request` alone, which spares a tuple and a dict for every one, and which
        is not asked while the Probe rests."""
        note, fail = self._note, self._fail
        loop, fresh = route.loop, route.fresh

        async def awaited(request: Any) -> Any:
            nonlocal loop, fresh
            began = _now()
            try:
                return await handler(request)
            finally:
                # A coroutine runs on its loop's thread, so that the loop says both.
                if _get_running_loop() is loop:
                    try:
                        fresh.append(began)
                        fresh.append(_now())
                    except Exception as error:
                        fail(error)
                else:
                    note(route, began, _now())
                    loop, fresh = route.loop, route.fresh

        return awaited

    def _note(self, route: RouteWatch, began: float, ended: float) -> None:
        """Count a request wherever it ran. Never raises into the handler's caller."""
        try:
            # The thread itself, not its identifier, which a later thread may have again.
            key = (current_thread(), _get_running_loop())
            tally = route.tallies.get(key)
            if tally is None:
                if len(route.tallies) >= MOST_TALLIES:
                    self._rest(route, key[1]).fresh.extend((began, ended))
                    return
                tally = route.tallies.setdefault(key, self._new_tally(*key))
                if route.loop is None and key[1] is not None:
                    route.loop, route.fresh = key[1], tally.fresh
            tally.fresh.append(began)
            tally.fresh.append(ended)
        except Exception as error:
            self._fail(error)

    def _rest(self, route: RouteWatch, loop: object) -> Tally:
        """The Tally of the many, by whether a loop ran there and of which class."""
        of = None if loop is None else class_name(loop)
        tally = route.rest.get(of)
        if tally is None:
            tally = route.rest.setdefault(of, Tally(None, False, of, None))
        return tally

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

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or f"{type(error).__name__}: {error}"

    def reset(self, *, instants: bool) -> None:
        """Begin counting anew; the instants too, or they go on from their last reset."""
        self._reset_at = _clock()
        self._loop.reset()
        self._stalls.reset()
        self.executor.reset()
        self._thread_pools.reset()
        self.pool.reset()
        self._collector.reset()
        with self._settled() as tallies:
            for tally in tallies:
                tally.forget() if instants else tally.skip()

    def pause(self) -> None:
        """Observe neither loop nor requests until `resume`, and cost nothing.

        The collector's pauses and the pools of connections are observed all the same.
        """
        self._switch(rests=True)
        self._loop.pause()
        self._stalls.pause()
        with self._settled():
            pass  # now that nobody waits for it

    def resume(self) -> None:
        """Go on after a pause."""
        self._stalls.resume()
        self._loop.resume()
        self._switch(rests=False)

    def _switch(self, *, rests: bool) -> None:
        self.executor.rest(rests=rests)
        for choose in self._switches:
            choose(rests)

    def forked(self) -> None:
        """Begin anew in a forked child, where another thread's lock would never be released."""
        self._settling = threading.Lock()
        self._stalls.forked()
        self.reset(instants=True)

    def _ended(self, name: str) -> int:
        """How many requests of a route have ended since the instants were reset."""
        route = self._routes[name]
        tallies = (*list(route.tallies.values()), *list(route.rest.values()))
        return sum(len(tally.kept) + len(tally.fresh) for tally in tallies) // 2

    @contextmanager
    def _settled(self, routes: Iterable[RouteWatch] | None = None) -> Iterator[list[Tally]]:
        """All tallies, or those of some routes, settled; nobody else settles meanwhile."""
        chosen = list(self._routes.values()) if routes is None else routes
        with self._settling:
            tallies = [
                tally
                for route in chosen
                for tally in (*list(route.tallies.values()), *list(route.rest.values()))
            ]
            for tally in tallies:
                tally.settle()
            yield tallies

    def _on_beat(self) -> None:
        self._thread_pools.look()
        many = [route for route in list(self._routes.values()) if _has_many(route)]
        if many:
            with self._settled(many):
                pass

    def instants(self, name: str, skip: int, count: int) -> InstantSums:
        """Sums of the instants of `count` requests of a route, after the first `skip`."""
        with self._settled([self._routes[name]]) as tallies:
            kept = [tally.kept[:] for tally in tallies]
            whole = all(tally.whole for tally in tallies)
        chosen = slice(skip, skip + count)
        began = sorted(instant for instants in kept for instant in instants[::2])[chosen]
        ended = sorted(instant for instants in kept for instant in instants[1::2])[chosen]
        known = whole and len(ended) == count
        origin = _clock()
        return InstantSums(
            handled=sum(len(instants) // 2 for instants in kept),
            origin_ns=origin + time.time_ns() - _clock(),
            began_ns=_sum_ns(began) - origin * count if known else None,
            ended_ns=_sum_ns(ended) - origin * count if known else None,
        )

    def observe(self) -> Observation:
        """All that was counted since the reset."""
        loop, executor = self._loop.read_with_graph(), self.executor.read()
        return Observation(
            pid=os.getpid(),
            seconds=(_clock() - self._reset_at) / 1e9,
            failure=self.failure
            or self._loop.failure
            or self.executor.failure
            or self._thread_pools.failure
            or self._collector.failure
            or self._stalls.failure,
            loop=loop,
            executor=executor,
            pool=self.pool.read(),
            collector=self._collector.read(),
            stalls=self._stalls.read(),
            routes={
                name: tallies
                for name, route in self._routes.items()
                if (tallies := self._tallies(route))
            },
            threads=tuple(os_stats.read_threads() or ()),
            thread_pools=self._thread_pools.read(self._by_thread(), loop.wall_ns, executor),
        )

    def _by_thread(self) -> dict[threading.Thread, int]:
        """How many requests each thread has handled since the reset, but those of a loop."""
        handled: dict[threading.Thread, int] = {}
        with self._settled() as tallies:
            for tally in tallies:
                if tally.thread is not None and not tally.loop_thread:
                    count = (len(tally.kept) - tally.skipped) // 2 + tally.dropped
                    handled[tally.thread] = handled.get(tally.thread, 0) + count
        return {thread: count for thread, count in handled.items() if count}

    def _tallies(self, route: RouteWatch) -> tuple[TallyReading, ...]:
        """Those that have counted anything since the reset."""
        with self._settled([route]) as tallies:
            since = [(tally, tally.kept[tally.skipped :], tally.dropped) for tally in tallies]
        # Only now, as it takes a while: the loop's next beat must not wait for it.
        readings = (tally_reading(*arguments) for arguments in since)
        return tuple(reading for reading in readings if reading.requests)

    def glance(self, *, loaded: bool = True) -> Moment:
        """The little that is asked for every second while a load runs. loaded: whether it does
        still, so that what waits for the pools of threads counts."""
        if loaded:
            self._thread_pools.look()
        return Moment(self._loop.read(), self.executor.queued, os_stats.read())


def _has_many(route: RouteWatch) -> bool:
    """Whether a Tally of a route has more fresh instants than it should."""
    tallies = (*list(route.tallies.values()), *list(route.rest.values()))
    return any(len(tally.fresh) > MOST_FRESH for tally in tallies)


def _sum_ns(instants_s: Iterable[float]) -> int:
    return sum(int(instant * 1e9) for instant in instants_s)


@contextmanager
def watching(
    *,
    beat_s: float = 0.01,
    stall_s: float = 0.005,
    on_stall: Callable[[Stall], None] | None = None,
    most_cpu: float = MOST_CPU,
) -> Iterator[Probe]:
    """Switch a Probe on for handlers that are registered from now on. One at a time.

    beat_s: interval of the timer whose lateness is the loop delay. stall_s: a loop that stays
    away from its selector for longer has stalled. on_stall: is called with each stall, in a
    thread of the probe's. most_cpu: the share of a CPU that may go into looking at stalls.
    """
    probe = Probe(beat_s=beat_s, stall_s=stall_s, on_stall=on_stall, most_cpu=most_cpu)
    with active.turned_on(probe):
        yield probe
