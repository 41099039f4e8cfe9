"""Every pool of threads in this process: how many threads, how many calls wait for one.

Pools are found by what their threads run, so that nobody has to hand them over: executors of the
standard library (asyncio's, asgiref's, a2wsgi's, gunicorn's), waitress's and anyio's. They are
looked at some thirty times a second by the loop, and whenever the harness asks under a load.

The loop's own executor counts each call, which is exact. Looks from the loop's thread are not,
where handlers are short: it has the interpreter's lock only when those threads have done their
work, and of a queue of 20 all of 17 looks saw nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import thread as executor_threads
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from loopbench.servers.probe.executor import ExecutorReading, WatchedExecutor

_MOST_LOOKS = 6_000
"""Of ten minutes."""

MOST_POOLS = 16
"""How many pools of a process are told apart. Where each request makes one of its own, those that
come later are counted together, as the pool OTHERS."""

OTHERS = "others"

UNREADABLE = "the queue of these threads cannot be read"
UNSEEN = "nobody looked at the queue of these threads while the load lasted"


@dataclass(frozen=True, slots=True)
class PoolLook:
    """A pool at one instant. limit: the most threads that it may have; queued: calls that wait
    for one; None where the pool does not say. counts: whether it counts its calls itself."""

    name: str
    threads: frozenset[int]
    limit: int | None
    queued: int | None
    counts: bool = False


@dataclass(frozen=True, slots=True)
class ThreadPoolReading:
    """A pool of threads since the reset.

    pid: its process. threads: the most at once. most_queued, mean_queued: over all looks; None
    where no look could read them. requests: how many requests of the suite's routes its threads
    have handled. wait_mean_ns: mean_queued over the rate of those requests, by Little's law; None
    without either. Of the loop's own executor all three are of each call that it counted.
    words: what could not be read; blank where everything was.
    """

    pid: int
    pool: str
    threads: int
    limit: int | None
    most_queued: int | None
    mean_queued: float | None
    requests: int
    wait_mean_ns: float | None
    words: str = ""


class PoolNames:
    """What the pools of a process are called: as their threads are; the second one of a name has a
    number behind it, and so on. OTHERS from the MOST_POOLS-th on.

    loops_own: the executor of the watched loop, which has its name whenever its first thread comes:
    every other loop of the process names an executor of its own in the same way.
    """

    def __init__(self, loops_own: Callable[[], WatchedExecutor | None]) -> None:
        self._loops_own = loops_own
        self._names: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._count: Counter[str] = Counter()

    def of(self, owner: Any, prefix: str) -> str:
        """The name of a pool, which it keeps; prefix: what its threads' names begin with."""
        loops_own = self._loops_own()
        if loops_own is not None and loops_own not in self._names:
            self._new(loops_own, loops_own.prefix)
        return self._names.get(owner) or self._new(owner, prefix)

    def _new(self, owner: Any, prefix: str) -> str:
        if self._count.total() >= MOST_POOLS:
            return OTHERS
        self._count[prefix] += 1
        number = self._count[prefix]
        self._names[owner] = name = prefix if number == 1 else f"{prefix} {number}"
        return name


class ThreadPoolsWatch:
    """Looks at the pools, and keeps what it has seen since the reset. loops_own: see PoolNames."""

    def __init__(self, loops_own: Callable[[], WatchedExecutor | None] = lambda: None) -> None:
        self.failure: str | None = None
        self._names = PoolNames(loops_own)
        self.reset()

    def reset(self) -> None:
        """Begin counting anew."""
        self._looks: dict[str, deque[PoolLook]] = {}

    def look(self) -> None:
        """Note every pool as it is now. In the loop's thread anyio's queue can be read, too."""
        try:
            for pool in pools(self._names):
                self._looks.setdefault(pool.name, deque(maxlen=_MOST_LOOKS)).append(pool)
        except Exception as error:  # the server goes on; the Run gets its Warning
            self.failure = self.failure or f"{type(error).__name__}: {error}"

    def read(
        self,
        requests: Mapping[threading.Thread, int],
        since_ns: int,
        counted: ExecutorReading | None = None,
    ) -> tuple[ThreadPoolReading, ...]:
        """A reading a pool, from any thread. requests: of the suite's routes, by the thread that
        handled them; the loop's own thread not among them. since_ns: how long these were counted.
        counted: the calls of the loop's own executor meanwhile.
        """
        # The loop goes on looking meanwhile.
        looks_by_name = {name: list(looks) for name, looks in self._looks.copy().items()}
        unseen = self._unseen(looks_by_name)
        looks_by_name |= unseen
        readings = [
            _reading(name, looks, requests, since_ns, UNSEEN if name in unseen else UNREADABLE)
            for name, looks in looks_by_name.items()
        ]
        counting = {
            name for name, looks in looks_by_name.items() if any(look.counts for look in looks)
        }
        if counted is not None and counted.wait_us:
            readings = [
                _counted(reading, counted, since_ns) if reading.pool in counting else reading
                for reading in readings
            ]
        pooled = {
            ident for looks in looks_by_name.values() for look in looks for ident in look.threads
        }
        alone = {thread: n for thread, n in requests.items() if thread.ident not in pooled}
        if alone:
            names = ", ".join(sorted({_prefix(thread.name) for thread in alone}))
            many = len(alone), None, None, None, sum(alone.values()), None
            readings.append(ThreadPoolReading(os.getpid(), names, *many, UNREADABLE))
        return tuple(readings)

    def _unseen(self, looks_by_name: Mapping[str, list[PoolLook]]) -> dict[str, list[PoolLook]]:
        """The pools that nobody has looked at, as they are now, but for their queues: the load may
        be gone, and they are empty because of that."""
        try:
            return {
                pool.name: [replace(pool, queued=None)]
                for pool in pools(self._names)
                if pool.name not in looks_by_name
            }
        except Exception as error:  # as in `look`
            self.failure = self.failure or f"{type(error).__name__}: {error}"
            return {}


def _reading(
    name: str,
    looks: list[PoolLook],
    requests: Mapping[threading.Thread, int],
    since_ns: int,
    why_not: str,
) -> ThreadPoolReading:
    queued = [look.queued for look in looks if look.queued is not None]
    limits = [look.limit for look in looks if look.limit is not None]
    idents = frozenset().union(*(look.threads for look in looks))
    handled = sum(n for thread, n in requests.items() if thread.ident in idents)
    mean = sum(queued) / len(queued) if queued else None
    return ThreadPoolReading(
        pid=os.getpid(),
        pool=name,
        threads=max(len(look.threads) for look in looks),
        limit=limits[-1] if limits else None,
        most_queued=max(queued, default=None),
        mean_queued=mean,
        requests=handled,
        wait_mean_ns=None if mean is None or not handled else mean * since_ns / handled,
        words="" if queued else why_not,
    )


def _counted(
    reading: ThreadPoolReading, calls: ExecutorReading, since_ns: int
) -> ThreadPoolReading:
    """The same of each call: those that wait are, in the mean, what they waited in all over the
    time that they were counted in, by Little's law."""
    waited_ns = sum(us * count for us, count in calls.wait_us) * 1000
    return replace(
        reading,
        most_queued=calls.queue_max,
        mean_queued=waited_ns / since_ns if since_ns else None,
        wait_mean_ns=waited_ns / sum(count for _, count in calls.wait_us),
        words="",
    )


def pools(names: PoolNames) -> Iterator[PoolLook]:
    """Every pool of this process that has a thread; the many without a name of theirs as one."""
    others = []
    for pool in _each(names):
        if pool.name == OTHERS:
            others.append(pool)
        else:
            yield pool
    if others:
        yield _together(others)


def _together(some: Iterable[PoolLook]) -> PoolLook:
    threads = frozenset[int]().union(*(pool.threads for pool in some))
    return PoolLook(OTHERS, threads, None, sum(pool.queued or 0 for pool in some))


def _each(names: PoolNames) -> Iterator[PoolLook]:
    members: dict[int, list[threading.Thread]] = {}
    owners: dict[int, Any] = {}
    anyio = []
    for thread in threading.enumerate():
        owner = _owner(thread)
        if owner is not None:
            members.setdefault(id(owner), []).append(thread)
            owners[id(owner)] = owner
        elif type(thread).__name__ == "WorkerThread" and type(thread).__module__[:6] == "anyio.":
            anyio.append(thread)
    for key, threads in members.items():
        yield _look(owners[key], threads, names)
    if anyio:
        yield _anyio(anyio)


def _owner(thread: threading.Thread) -> Any:
    """The executor or dispatcher that a thread works for; None where it works for none that is
    known, or that one does not exist any more. A thread keeps what it runs as long as it runs."""
    target = getattr(thread, "_target", None)
    if target is executor_threads._worker:
        reference = getattr(thread, "_args", (None,))[0]
        return reference() if callable(reference) else None
    dispatcher = getattr(target, "__self__", None)
    return dispatcher if type(dispatcher).__module__ == "waitress.task" else None


def _look(owner: Any, threads: list[threading.Thread], names: PoolNames) -> PoolLook:
    idents = frozenset(thread.ident or 0 for thread in threads)
    if type(owner).__module__ == "waitress.task":
        name = names.of(owner, "waitress")
        return PoolLook(name, idents, len(idents), len(owner.queue))
    asgiref: Any = sys.modules.get("asgiref.sync")
    is_asgiref = asgiref is not None and asgiref.SyncToAsync.single_thread_executor is owner
    name = names.of(owner, "asgiref" if is_asgiref else _prefix(threads[0].name))
    counts = isinstance(owner, WatchedExecutor)
    return PoolLook(name, idents, owner._max_workers, owner._work_queue.qsize(), counts)


def _anyio(threads: list[threading.Thread]) -> PoolLook:
    """Its limiter belongs to a loop, and is found from within that alone."""
    idents = frozenset(thread.ident or 0 for thread in threads)
    to_thread: Any = sys.modules.get("anyio.to_thread")
    if to_thread is None or asyncio._get_running_loop() is None:
        return PoolLook("anyio", idents, None, None)
    limiter = to_thread.current_default_thread_limiter()
    limit = limiter.total_tokens
    return PoolLook(
        "anyio",
        idents,
        int(limit) if limit != float("inf") else None,
        limiter.statistics().tasks_waiting,
    )


def _prefix(name: str) -> str:
    """The name that the threads of a pool have in common."""
    return name.rstrip("0123456789").rstrip("_-") or name
