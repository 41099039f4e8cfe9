"""Who a task is, where it waits and who waits for it: asyncio's call graph, from Python 3.14 on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import FrameType
from typing import Any

from loopbench.servers.probe.stalls.stack import short_file
from loopbench.servers.probe.stalls.stall import Frame

MOST_FRAMES = 4
"""How many frames of a task are told, from the innermost on."""

MOST_TASKS = 6
"""How many tasks are told, the one that is asked about and those that wait for it."""

_capture: Any = getattr(asyncio, "capture_call_graph", None)
"""None: this Python does not keep who waits for a task (What's New in Python 3.14)."""


def task_name(task: asyncio.Task[Any]) -> str:
    """Its name, and that of its coroutine."""
    # `get_coro` of Python 3.12.0 and 3.12.1 ends the process (a null pointer) where a task that was
    # started eagerly, as aiohttp starts its own, is done; this attribute is None there.
    of = getattr(getattr(task, "_coro", None), "__qualname__", None)
    return task.get_name() if of is None else f"{task.get_name()} {of}"


def task_with_waiters(task: asyncio.Task[Any]) -> str:
    """The names of a task and of those that wait for it, ` < ` between them; its own alone before
    Python 3.14. From any thread."""
    return task_name(task) if _capture is None else _chain(task, frames=0)


def call_graph(task: asyncio.Task[Any], alive: Iterable[asyncio.Task[Any]]) -> str | None:
    """What a task waits for: the innermost of the tasks that it waits for, with the frames in
    which each of them waits, ` at file:line function`, innermost first and `, ` between them.

    alive: all tasks of its loop. None before Python 3.14. From any thread.
    """
    return None if _capture is None else _chain(_innermost(task, alive), frames=MOST_FRAMES)


def _innermost(task: asyncio.Task[Any], alive: Iterable[asyncio.Task[Any]]) -> asyncio.Task[Any]:
    """The end of the chain of tasks that wait for one another, from this one inwards."""
    waited_for = {
        waiting.future: awaited
        for awaited in alive
        for waiting in _capture(awaited, limit=0).awaited_by
    }
    while task in waited_for:
        task = waited_for.pop(task)
    return task


def _chain(task: asyncio.Task[Any], frames: int) -> str:
    """Of several that wait for one task, the first is told, and how many more there are."""
    try:
        node = _capture(task, limit=None if frames else 0)
    except RecursionError:  # tasks that wait for each other
        return f"{task_name(task)} < (itself)"
    links: list[str] = []
    while node is not None and len(links) < MOST_TASKS:
        links.append(_described(node, frames))
        others = node.awaited_by
        node = others[0] if others else None
        if len(others) > 1:
            links[-1] += f" (and {len(others) - 1} more wait)"
    return " < ".join(links if node is None else [*links, "…"])


def _described(node: Any, frames: int) -> str:
    future = node.future
    name = task_name(future) if isinstance(future, asyncio.Task) else type(future).__name__
    places = [str(_frame(entry.frame)) for entry in node.call_stack[:frames]]
    return f"{name} at {', '.join(places)}" if places else name


def _frame(frame: FrameType) -> Frame:
    code = frame.f_code
    return Frame(short_file(code.co_filename), frame.f_lineno or 0, code.co_qualname)
