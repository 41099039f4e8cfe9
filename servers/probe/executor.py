"""What the loop's default executor did: how long calls waited for a thread, and ran."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, ParamSpec, TypeVar

from loopbench.servers.probe.durations import ThreadCounts
from loopbench.servers.supervision.merging import COUNTS, MOST, SUM, Pairs

P = ParamSpec("P")
T = TypeVar("T")
_clock = time.perf_counter_ns


@dataclass(frozen=True, slots=True)
class ExecutorReading:
    """The executor since the reset; of several processes, the threads of all and the longest queue.

    threads_max: as many as there are now, since they do not end. queue_max: calls that waited for a
    thread at once. None where no executor is watched. wait_us, run_us: pairs of us and count.
    """

    threads_max: Annotated[int | None, SUM]
    queue_max: Annotated[int | None, MOST]
    wait_us: Annotated[Pairs, COUNTS]
    run_us: Annotated[Pairs, COUNTS]


class WatchedExecutor(ThreadPoolExecutor):
    """A ThreadPoolExecutor that tells its ExecutorWatch about every call, while that watches."""

    def __init__(self, threads: int, prefix: str, watch: ExecutorWatch) -> None:
        super().__init__(threads, prefix)
        self.prefix = prefix
        self._watch = watch
        watch.executor = self
        watch.rest(rests=False)

    def watched_submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As `submit`, in whose place it stands while calls are counted."""
        future = super().submit(self._watch.timed(fn, _clock()), *args, **kwargs)
        self._watch.submitted()
        return future


class ExecutorWatch:
    """Waits (submit → the thread starts the call), run times, threads and queue."""

    def __init__(self) -> None:
        self.executor: WatchedExecutor | None = None
        self.failure: str | None = None
        self.reset()

    def rest(self, *, rests: bool) -> None:
        """Whether calls that are submitted from now on are left uncounted. The executor then has
        no method of its own in the way of a call."""
        if self.executor is None:
            return
        if rests:
            vars(self.executor).pop("submit", None)
        else:
            self.executor.submit = self.executor.watched_submit  # type: ignore[method-assign]

    def reset(self) -> None:
        """Begin counting anew."""
        self._waits = ThreadCounts()
        self._runs = ThreadCounts()
        self._queue_max = 0

    def timed(self, fn: Callable[P, T], submitted: int) -> Callable[P, T]:
        """`fn`, which notes when it begins and ends."""

        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            began = _clock()
            try:
                return fn(*args, **kwargs)
            finally:
                self._ran(submitted, began, _clock())

        return call

    def _ran(self, submitted: int, began: int, ended: int) -> None:
        try:
            self._waits.add(began - submitted)
            self._runs.add(ended - began)
        except Exception as error:  # never the caller's business; the Run gets its Warning
            self.failure = self.failure or f"{type(error).__name__}: {error}"

    def submitted(self) -> None:
        """A call has been put into the queue."""
        try:
            self._queue_max = max(self._queue_max, self.queued or 0)
        except Exception as error:  # as in `_ran`
            self.failure = self.failure or f"{type(error).__name__}: {error}"

    @property
    def queued(self) -> int | None:
        """Calls that wait for a thread right now; None where no executor is watched."""
        return None if self.executor is None else self.executor._work_queue.qsize()

    def read(self) -> ExecutorReading:
        """Since the reset."""
        return ExecutorReading(
            threads_max=None if self.executor is None else len(self.executor._threads),
            queue_max=None if self.executor is None else self._queue_max,
            wait_us=self._waits.merged(),
            run_us=self._runs.merged(),
        )
