"""Who waits for whom: told of tasks on Python 3.14 and later, and names alone before."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

import pytest

from loopbench.servers.probe.probe import Probe
from loopbench.servers.probe.stalls.call_graph import MOST_TASKS, call_graph, task_with_waiters
from tests.house.skips import NO_SUCH_CALL
from tests.servers.probe.probes import watched_loop
from tests.servers.processes import eventually, needs_proc, turns_of

HAS_GRAPHS = sys.version_info >= (3, 14)
graphs = pytest.mark.skipif(
    not HAS_GRAPHS, reason=f"{NO_SUCH_CALL} call graphs: Python 3.14 is the first that keeps them"
)


async def leaf() -> None:
    await asyncio.sleep(60)


async def task_of(inner: asyncio.Task[None]) -> None:
    await inner


async def _graph_of_two() -> tuple[str | None, str, tuple[str, str]]:
    inner = asyncio.create_task(leaf(), name="inner")
    outer = asyncio.create_task(task_of(inner), name="outer")
    await asyncio.sleep(0.01)
    told = call_graph(outer, asyncio.all_tasks()), task_with_waiters(inner)
    lines = tuple(str(f.__code__.co_firstlineno + 1) for f in (leaf, task_of))
    outer.cancel()
    return *told, (lines[0], lines[1])


def test_a_task_is_told_with_what_it_waits_for_and_who_waits_for_it() -> None:
    """With their innermost frames; before Python 3.14 its name alone is known."""
    graph, names, lines = asyncio.run(_graph_of_two())
    if not HAS_GRAPHS:
        assert (graph, names) == (None, "inner leaf")
        return
    assert names == "inner leaf < outer task_of"
    assert graph is not None
    inner, outer = graph.split(" < ")
    assert inner.startswith("inner leaf at asyncio/tasks.py:")
    assert inner.endswith(f"test_call_graph.py:{lines[0]} leaf")
    place = f"tests/servers/probe/stalls/test_call_graph.py:{lines[1]}"
    assert outer == f"outer task_of at {place} task_of"


@graphs
def test_many_that_wait_are_counted_and_long_chains_end() -> None:
    """One that waits is told, and how many more; a chain ends after some tasks."""

    async def main() -> tuple[str, str]:
        shared = asyncio.create_task(leaf(), name="shared")
        waiting = [asyncio.create_task(task_of(shared)) for _ in range(3)]
        chain = [asyncio.create_task(leaf(), name="0")]
        for number in range(1, MOST_TASKS + 2):
            chain.append(asyncio.create_task(task_of(chain[-1]), name=str(number)))
        await asyncio.sleep(0.01)
        told = task_with_waiters(shared), task_with_waiters(chain[0])
        for task in (*waiting, *chain):
            task.cancel()
        return told

    shared, chain = asyncio.run(main())
    assert shared.startswith("shared leaf (and 2 more wait) < Task-")
    names = ["0 leaf", *(f"{number} task_of" for number in range(1, MOST_TASKS)), "…"]
    assert chain == " < ".join(names)


@graphs
def test_tasks_that_wait_for_each_other_are_told() -> None:
    """A circle has no end to come to."""

    async def main() -> tuple[str, str | None]:
        one, other = (asyncio.create_task(leaf(), name=name) for name in ("one", "other"))
        waits_for: Any = asyncio.future_add_to_awaited_by  # type: ignore[attr-defined, unused-ignore]
        waits_for(one, other)
        waits_for(other, one)
        return task_with_waiters(one), call_graph(one, ())

    assert asyncio.run(main()) == ("one leaf < (itself)", "one leaf < (itself)")


def test_the_oldest_task_has_its_graph(live: Probe) -> None:
    """In the loop's reading: blank before Python 3.14."""

    async def main() -> None:
        while live.observe().loop.tasks_created is None:
            await asyncio.sleep(0.01)
        lasting = asyncio.create_task(task_of(asyncio.create_task(leaf(), name="within")))
        while live.observe().loop.task_oldest_ns is None:
            await asyncio.sleep(0.01)
        graph = live.observe().loop.task_oldest_graph
        if HAS_GRAPHS:
            assert graph is not None
            within, waiting = graph.split(" < ")
            assert within.startswith("within leaf at asyncio/tasks.py:")
            assert waiting.startswith(f"{lasting.get_name()} task_of at ")
        else:
            assert graph is None
        lasting.cancel()

    with watched_loop(live) as runner:
        runner.run(main())


@needs_proc
def test_a_stall_within_tasks_names_those_that_wait(live: Probe) -> None:
    """The task that stalls, and on Python 3.14 the one that waits for it."""

    async def hold() -> None:
        (watcher,) = (one for one in threading.enumerate() if one.name == "probe-stalls")
        before = turns_of(watcher)
        time.sleep(0.1)
        assert eventually(lambda: turns_of(watcher) >= before + 3)  # it has looked

    async def main() -> None:
        await asyncio.sleep(0.1)
        await asyncio.create_task(hold(), name="holds")
        await asyncio.sleep(0.1)

    with watched_loop(live) as runner:
        runner.run(main())
        stalls = live.observe().stalls.stalls
    name = "holds test_a_stall_within_tasks_names_those_that_wait.<locals>.hold"
    # A machine that holds the loop up as long adds stalls, of which no other is of that task.
    told = [one.task for one in stalls if one.duration_ms >= 100 and one.task]
    (chain,) = [one.split(" < ") for one in told if one.startswith("holds ")]
    first, *waiting = chain
    assert first == name
    assert [one.partition(" ")[2].rpartition(".")[2] for one in waiting] == (
        ["main"] if HAS_GRAPHS else []
    )
