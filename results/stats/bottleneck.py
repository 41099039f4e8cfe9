"""What was the limit of a scenario that asks a database: the rule, and how it reads a folder.

A resource is full from 0.9 on; requests queue for one where the median wait is a quarter of the
median response time or more. What is full comes before what is queued for, since the queue may
be its doing. The steps, the first that applies:

1. the load generator's CPU is full: client
2. the loop or the database is full: that one; both: cannot tell
3. the database is not, and the server was held up from outside: its loop was outside its wait for
   half of the time or more, but its process had a CPU for less than two thirds of that: cannot
   tell, also where the loop reads full
4. neither is full, but one of these was not read: cannot tell
5. requests queue for a thread or for a connection: threads or pool; for both: the one with at
   least twice the wait of the other, else cannot tell
6. none seen

The database is full where its processes use the CPUs that they can have: those beside the
server's and the generator's, one where there is none, and no more than the pool has connections.
An embedded one has no processes of its own: its work is in the server's threads, and where
requests queue for its connections it cannot be told from the pool.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loopbench.results.folder.folder import Folder
from loopbench.results.folder.scenarios import LoadFacts
from loopbench.results.schema import Family
from loopbench.results.stats.summaries.sample import Cell
from loopbench.results.stats.summaries.summary import Summaries

FULL = 0.9
"""Share from which on a CPU or a loop has nothing left: a saturated loop reads 0.95 to 0.99."""

QUEUED = 0.25
"""Share of the response time from which on a wait is what a request mostly does."""

TWICE = 2.0

BUSY, ITS_OWN = 0.5, 2 / 3
"""Time outside a loop's wait is also time without a CPU. From BUSY on, less than ITS_OWN of it on
a CPU says that other programs, or the database, had the CPU meanwhile."""

FAMILIES = (Family.DATABASE, Family.STORES)
"""Scenarios that ask a database. The first differ in driver and users alone."""


class Word(enum.StrEnum):
    """What was the limit."""

    CLIENT = "client"
    LOOP = "loop"
    DATABASE = "database"
    THREADS = "threads"
    POOL = "pool"
    NONE_SEEN = "none seen"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Readings:
    """What was read of a Cell. Shares are of one CPU, waits medians in ms; None: not read.

    embedded: the database works inside the server. database_cpus: how many CPUs its processes
    could have used.
    """

    response_ms: float | None
    loop: float | None
    server_cpu: float | None
    client_cpu: float | None
    threads: float | None
    thread_wait_ms: float | None
    pool_size: float | None
    pool_wait_ms: float | None
    database_cpu: float | None
    embedded: bool
    database_cpus: float = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """word: the limit. why: what it rests on, in a few words."""

    word: Word
    why: str


def verdict(readings: Readings) -> Verdict:
    """By the rule of this module."""
    if readings.client_cpu is not None and readings.client_cpu >= FULL:
        return Verdict(Word.CLIENT, f"the generator's CPU is {readings.client_cpu:.0%} full")
    loop_full = readings.loop is not None and readings.loop >= FULL
    database_full = (
        readings.database_cpu is not None and readings.database_cpu >= FULL * readings.database_cpus
    )
    if loop_full and database_full:
        return Verdict(Word.CANNOT_TELL, "loop and database are both full")
    if database_full:
        used = f"{readings.database_cpu:.0%} of a CPU, of {readings.database_cpus:g} to have"
        return Verdict(Word.DATABASE, used)
    if _held_up(readings):
        had = f"{readings.server_cpu:.0%} of the time, its loop wanted {readings.loop:.0%}"
        return Verdict(Word.CANNOT_TELL, f"the server had a CPU for {had}")
    if loop_full and readings.server_cpu is not None:
        return Verdict(Word.LOOP, f"{readings.loop:.0%} of the time outside its wait")
    missing = [name for name, value in _needed(readings).items() if value is None]
    if missing:
        return Verdict(Word.CANNOT_TELL, f"not read: {', '.join(missing)}")
    return _queue(readings)


def _held_up(readings: Readings) -> bool:
    """Whether the server waited for a CPU."""
    if readings.loop is None or readings.server_cpu is None or readings.loop < BUSY:
        return False
    return readings.server_cpu < ITS_OWN * readings.loop


def _needed(readings: Readings) -> dict[str, float | None]:
    """What must be known before a queue can be blamed, or nothing."""
    return {
        "loop utilisation": readings.loop,
        "server CPU": readings.server_cpu,
        "generator CPU": readings.client_cpu,
        **({} if readings.embedded else {"database CPU": readings.database_cpu}),
        "pool wait": readings.pool_wait_ms,
        "response time": readings.response_ms or None,
    }


def _queue(readings: Readings) -> Verdict:
    assert readings.response_ms and readings.pool_wait_ms is not None
    # Where no thread was ever used, nobody waited for one.
    waits = {Word.THREADS: readings.thread_wait_ms or 0.0, Word.POOL: readings.pool_wait_ms}
    shares = {word: wait_ms / readings.response_ms for word, wait_ms in waits.items()}
    queues = sorted((share, word) for word, share in shares.items() if share >= QUEUED)
    if not queues:
        return Verdict(Word.NONE_SEEN, "nothing is full, and requests queue for nothing")
    if len(queues) > 1 and queues[1][0] < TWICE * queues[0][0]:
        return Verdict(Word.CANNOT_TELL, "requests queue for threads and for connections")
    share, word = queues[-1]
    if word is Word.POOL and readings.embedded:
        return Verdict(Word.CANNOT_TELL, "pool or embedded database: requests queue for it")
    return Verdict(word, f"the wait for one is {share:.0%} of the response time")


@dataclass(frozen=True, slots=True)
class Limit:
    """The verdict about one Cell, with what it was made from.

    swept: the scenario is one of those that differ in driver and users alone. dispatch: where
    its handlers work, and so which driver they use.
    """

    cell: Cell
    users: int
    swept: bool
    dispatch: str
    readings: Readings
    verdict: Verdict


def limits(folder: Folder, summaries: Summaries) -> list[Limit]:
    """Of each Cell of a database scenario that has figures: first the sweep, by users, so that the
    two drivers stand side by side; then the others by name."""
    users = {
        run.cell: int(run.number("users") or 0)
        for run in folder.runs
        if summaries.facts[run.where].family in FAMILIES
    }
    cell_limits = []
    for cell in sorted(users, key=lambda cell: (*_order(summaries.facts[cell[1:]]), cell)):
        if summaries.get(cell, "throughput_rps") is not None:
            readings = _readings(folder.environment, summaries, cell)
            facts = summaries.facts[cell[1:]]
            cell_limits.append(
                Limit(cell, users[cell], _swept(facts), facts.dispatch, readings, verdict(readings))
            )
    return cell_limits


def _swept(facts: LoadFacts) -> bool:
    return facts.family == Family.DATABASE and facts.parameter is not None


def _order(facts: LoadFacts) -> tuple[bool, float]:
    return not _swept(facts), facts.parameter or 0.0


def line(limit: Limit) -> str:
    """A Cell's verdict for the terminal."""
    because = "" if limit.verdict.word is Word.NONE_SEEN else f" ({limit.verdict.why})"
    return f"{limit.cell[1]}, {limit.cell[0]}: {limit.verdict.word}{because}"


def _readings(environment: Mapping[str, Any], summaries: Summaries, cell: Cell) -> Readings:
    def read(metric: str, scale: float = 1.0) -> float | None:
        summary = summaries.get(cell, metric)
        return None if summary is None else summary.centre * scale

    return Readings(
        response_ms=read("response_time_p50_ms"),
        loop=read("loop_utilisation"),
        server_cpu=read("server_cpu_utilisation"),
        client_cpu=read("generator_cpu_utilisation"),
        threads=read("executor_threads_max"),
        thread_wait_ms=read("executor_wait_p50_ms"),
        pool_size=read("pool_size"),
        pool_wait_ms=read("pool_wait_p50_us", 1e-3),
        database_cpu=read("database_cpu_share"),
        embedded=_embedded(environment, cell[0]),
        database_cpus=_cpus_to_have(environment, read("pool_size")),
    )


def _embedded(environment: Mapping[str, Any], stack: str) -> bool:
    """Whether the server was told of no database."""
    facts = _part(_part(environment, "stacks"), stack)
    settings = _part(facts, "settings")
    return "database_url" in settings and settings["database_url"] is None


def _cpus_to_have(environment: Mapping[str, Any], pool_size: float | None) -> float:
    cpus, pinned = _part(environment, "machine").get("cpus"), _part(environment, "pinned")
    if not isinstance(cpus, int):
        return 1.0
    taken: set[Any] = set()
    for who in ("server", "generator"):
        taken |= set(pinned.get(who) or ())
    free = max(1.0, float(cpus - len(taken)))
    return free if pool_size is None else min(free, max(1.0, pool_size))


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, Mapping) else {}
