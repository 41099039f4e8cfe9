"""What the Probes of several processes said, as one: counts are added, extremes kept.

Rows by route keep the pid of their process, so that nothing of how the
requests were spread is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from loopbench.servers.supervision.control_pipe import Message

Told = Sequence[Message]


def gathered(do: str, told: Told) -> Message:
    """The answers of several processes to one command of `servers.lifecycle.child_main`."""
    return _GATHERERS[do](told)


def _observed(told: Told) -> Message:
    return {
        "pid": told[0]["pid"],
        "seconds": max(one["seconds"] for one in told),
        "failure": next((one["failure"] for one in told if one["failure"] is not None), None),
        "loop": _loop([one["loop"] for one in told]),
        "executor": _executor([one["executor"] for one in told]),
        "pool": _pool([one["pool"] for one in told if "sizes" in one.get("pool", ())]),
        "collector": {
            f"{one['pid']}/{generation}": pauses
            for one in told
            for generation, pauses in one["collector"].items()
        },
        "routes": _routes(told),
        "stalls": _stalls(told),
        "threads": [{**thread, "pid": one["pid"]} for one in told for thread in one["threads"]],
    }


def _stalls(told: Told) -> Message:
    # Servers of trees from before do not say it.
    every = [one["stalls"] for one in told if "stalls" in one]
    rows = [
        {**row, "pid": one["pid"]}
        for one in told
        if "stalls" in one
        for row in one["stalls"]["stalls"]
    ]
    return {
        "unwatched": next((one["unwatched"] for one in every if one["unwatched"]), None),
        "stalls": sorted(rows, key=lambda row: row["started_s"]),
        "beyond": sum(one["beyond"] for one in every),
    }


def _routes(told: Told) -> dict[str, list[Message]]:
    routes: dict[str, list[Message]] = {}
    for one in told:
        for route, tallies in one["routes"].items():
            routes.setdefault(route, []).extend({**tally, "pid": one["pid"]} for tally in tallies)
    return routes


def _loop(loops: Told) -> Message:
    """One loop's figures: idle and wall time added, so that utilisation is the mean."""
    return {
        "class": loops[0]["class"],
        "beats": sum(one["beats"] for one in loops),
        "delay_us": _added(one["delay_us"] for one in loops),
        "idle_ns": _known(sum, [one["idle_ns"] for one in loops]),
        "wall_ns": sum(one["wall_ns"] for one in loops),
        "longest_stretch_ns": _known(max, [one["longest_stretch_ns"] for one in loops]),
        "most_tasks": _known(max, [one["most_tasks"] for one in loops]),
    }


def _executor(executors: Told) -> Message:
    """The queue is that of the process with the longest; the threads are all together."""
    return {
        "wait_us": _added(one["wait_us"] for one in executors),
        "run_us": _added(one["run_us"] for one in executors),
        "threads": _known(sum, [one["threads"] for one in executors]),
        "most_queued": _known(max, [one["most_queued"] for one in executors]),
    }


def _pool(pools: Told) -> Message:
    """The connections are all together; those who waited are of the process with the most."""
    names = {name for one in pools for name in one["sizes"]}
    waiting = [one["most_waiting"] for one in pools if one["sizes"]]
    return {
        "sizes": {name: sum(one["sizes"].get(name, 0) for one in pools) for name in sorted(names)},
        "most_waiting": _known(max, waiting or [None]),
        "wait_us": _added(one["wait_us"] for one in pools),
    }


def _glanced(told: Told) -> Message:
    processes = [one["process"] for one in told]
    return {
        "loop": _loop([one["loop"] for one in told]),
        "executor_queue": _known(sum, [one["executor_queue"] for one in told]),
        "process": {
            name: _known(_mean if name == "monotonic_ns" else sum, [one[name] for one in processes])
            for name in processes[0]
        },
    }


def _instants(told: Told) -> Message:
    """Which requests of the generator a process got is not known, so that none can be taken
    apart."""
    return {
        "handled": sum(one["handled"] for one in told),
        "origin_ns": told[0]["origin_ns"],
        "began_ns": None,
        "ended_ns": None,
    }


def _added(pairs: Iterable[Iterable[Sequence[int]]]) -> list[list[int]]:
    counts: Counter[int] = Counter()
    for one in pairs:
        for us, count in one:
            counts[us] += count
    return [[us, count] for us, count in sorted(counts.items())]


def _mean(values: Iterable[int]) -> int:
    every = list(values)
    return sum(every) // len(every)


def _known(of: Callable[[list[Any]], Any], values: list[Any]) -> Any:
    """None where one of the values is not known."""
    return None if None in values else of(values)


_GATHERERS: dict[str, Callable[[Told], Message]] = {
    **dict.fromkeys(("reset", "pause", "resume"), lambda told: told[0]),
    "observe": _observed,
    "glance": _glanced,
    "instants": _instants,
}
