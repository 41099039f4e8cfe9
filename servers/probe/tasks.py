"""Tasks of a loop: how many were created, how old the oldest is, whose exception nobody read."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from weakref import ref

from loopbench.servers.probe.stalls.call_graph import call_graph

_NAME = "Task-"
_MOST_MARKS = 6_000
"""Looks of ten minutes; a task that is older has the age of the first of them."""

_UNREAD = "Task exception was never retrieved"
_clock = time.perf_counter_ns


class TaskWatch:
    """asyncio numbers the tasks that are given no name: a task of ours shows how far it is."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self.reset()

    def reset(self) -> None:
        """Begin counting anew, from the next look on."""
        self._first: int | None = None
        self._created: int | None = None
        self._marks: deque[tuple[int, int]] = deque(maxlen=_MOST_MARKS)
        self._oldest: tuple[int, int] | None = None
        self._oldest_ns: int | None = None
        self._oldest_task: ref[asyncio.Task[Any]] | None = None
        self._unread = 0

    @contextmanager
    def attached(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Hear what `loop` is told of exceptions that nobody read, while in the block."""
        handle = loop.call_exception_handler

        def heard(context: dict[str, object]) -> None:
            if str(context.get("message", "")).startswith(_UNREAD):
                self._unread += 1
            handle(context)

        loop.call_exception_handler = heard  # type: ignore[method-assign]
        self._loop = loop
        try:
            yield
        finally:
            loop.call_exception_handler = handle  # type: ignore[method-assign]
            self._loop = None

    def skip(self) -> None:
        """In the loop's thread: what was created since the last look counts for nothing."""
        number = _next_number()
        if self._first is None:
            self._first = number
        self._marks.append((number, _clock()))

    def look(self, alive: set[asyncio.Task[Any]]) -> None:
        """In the loop's thread, some ten times a second. alive: all its tasks."""
        assert self._loop is not None
        now, number = _clock(), _next_number()
        if self._first is None:
            self._first = number
        else:  # each look has created a task of its own
            self._created = (self._created or 0) + number - self._marks[-1][0] - 1
        self._marks.append((number, now))
        numbered = ((n, task) for task in alive if (n := _number(task)) and n > self._first)
        oldest, task = min(numbered, key=lambda pair: pair[0], default=(0, None))
        self._oldest_task = None if task is None else ref(task)
        if not oldest:
            self._oldest = None
        elif self._oldest is None or self._oldest[0] != oldest:
            self._oldest = oldest, next(at for mark, at in self._marks if mark > oldest)
        self._oldest_ns = None if self._oldest is None else now - self._oldest[1]

    def oldest_graph(self) -> str | None:
        """What the oldest task waits for, see `call_graph`; None where it has ended. From any
        thread."""
        task = None if self._oldest_task is None else self._oldest_task()
        if task is None or task.done() or self._loop is None:
            return None
        return call_graph(task, asyncio.all_tasks(self._loop))

    def figures(self) -> dict[str, int | None]:
        """Since the first look after the reset, as of the last, by the names of LoopReading; pauses
        left out.

        tasks_created: None where there were no two looks. Tasks that were given a name are not
        among them. task_oldest_ns: age of the oldest that was created since and is alive, to a
        tenth of a second; None where there is none. task_exceptions_unread: tasks that ended by
        an exception which nobody asked for.
        """
        return {
            "tasks_created": self._created,
            "task_oldest_ns": self._oldest_ns,
            "task_exceptions_unread": self._unread,
        }


async def _nothing() -> None:
    pass


class _Deaf:
    """A loop that does not run what it is given."""

    def get_debug(self) -> bool:
        return False

    def call_soon(self, *_: object, **__: object) -> None:
        """Nothing comes of it."""


def _next_number() -> int:
    """The number that asyncio gives the next task: that of one which never runs, and is gone."""
    nothing = _nothing()
    task = asyncio.Task(nothing, loop=cast("asyncio.AbstractEventLoop", _Deaf()))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    nothing.close()
    return _number(task) or 0


def _number(task: asyncio.Task[Any]) -> int | None:
    """Of a task that was given no name."""
    name = task.get_name()
    number = name.removeprefix(_NAME)
    return int(number) if number != name and number.isdigit() else None
