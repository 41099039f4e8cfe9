"""Saves of several parts, in one database or two stores: whole, half or gone when clients leave."""

import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, chdir, closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, Apps, Build, Live, serve
from loopbench.loadtests.behaviour.asking import NONE, Answer, experiment
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.disconnect.leaving import CANCEL, FIN, Begin, begins, leaves
from loopbench.loadtests.behaviour.disconnect.saving import SAVED
from loopbench.loadtests.behaviour.talking import Leaving, get, requesting, seen
from loopbench.loadtests.services.services import ServiceMissing, postgres_server, redis_server
from loopbench.servers.apps import aiohttp_app, quart_app
from loopbench.servers.contract.data_cases import BOTH_PROTECTIONS, PAIRS
from loopbench.servers.settings import Settings

INSERT = "INSERT INTO saves VALUES (?)"


async def between() -> None:
    """What a handler waits for between its two rows."""
    seen("begun")
    await asyncio.sleep(0.2)


async def separately(database: sqlite3.Connection) -> None:
    """Each row is committed by itself."""
    with database:
        database.execute(INSERT, ("first",))
    await between()
    with database:
        database.execute(INSERT, ("second",))


async def in_transaction(database: sqlite3.Connection) -> None:
    """Both or none: an exception that passes `with`, a cancellation too, rolls back."""
    with database:
        database.execute(INSERT, ("first",))
        await between()
        database.execute(INSERT, ("second",))


def opened() -> closing[sqlite3.Connection]:
    """The database, which is a file in a folder of the experiment's own."""
    return closing(sqlite3.connect("saves.sqlite"))


def saving(save: Callable[[sqlite3.Connection], Awaitable[None]]) -> Apps:
    async def handle() -> None:
        with opened() as database:
            await save(database)

    return scene.doing(handle)


@leaves("save-in-transaction", begins(saving(separately), "a commit for each row"), FIN)
@leaves("save-in-transaction", begins(saving(in_transaction), "one transaction"), FIN)
def ask_rows(begin: Begin, leaving: Leaving) -> Answer:
    """Leave between the two rows, and count them from another connection afterwards."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        with opened() as database, database:
            database.execute("CREATE TABLE saves (line TEXT)")
        with requesting(begin(), "POST") as (_, wire):
            scene.leave(wire, leaving)
            seen.expect("over", "the handler never ended")
        with opened() as database:
            (count,) = database.execute("SELECT count(*) FROM saves").fetchone()
    handler = seen.events[1]
    return Answer(f"{SAVED[count]}, {handler}", f"{count} of 2 rows in the table; {handler}")


# The same with two stores: the suite's own application, with its `POST /save/both`. What is in
# one store only, when everything that was begun has ended, is a pair half written.

CLIENTS = 300
"""Where a pair can be halved at all, a tenth of the clients and more halve one. That none of so
many does excludes, at 95 %, that more than one in a hundred would."""
TOGETHER = 32
SEED = 11
BOUND_S = 75.0
SETTINGS = Settings(pool_timeout_s=60.0)
"""So that a pool run dry, which can halve a pair too, has no part in the answer."""

_QUIET_S = 0.3
_SETTLED_BOUND_S = 30.0

WHOLE, HALF = "no pair is half-written", "some pairs are half-written"


def served(create: Build, settings: Settings, **options: Any) -> AbstractContextManager[Live]:
    """The suite's own application; options: of its server."""
    return serve(create(settings), **options)


AIOHTTP_SERVED = partial(served, aiohttp_app.create_app, access_log=None)
SERVERS = (
    (AIOHTTP, "", AIOHTTP_SERVED),
    (AIOHTTP, "handler_cancellation=True, ", partial(AIOHTTP_SERVED, **CANCEL)),
    (QUART, "", partial(served, quart_app.create_app)),
)
Served = Callable[[Settings], AbstractContextManager[Live]]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Halves in each store, those that lack the other, and how many clients had an answer."""

    first: int
    second: int
    half: int
    answered: int

    @property
    def line(self) -> str:
        """In words."""
        return (
            f"{self.half} pairs half-written by clients that left, {self.answered} of them with an "
            f"answer; {self.first} halves in the first store, {self.second} in the second"
        )


def count(port: int, protect: str, clients: int) -> Pairs:
    """Let so many clients ask for a save and leave, and count once everything has ended."""
    at_first = _pairs(port)
    answered = asyncio.run(_leave(port, protect, clients))
    before, deadline = at_first, time.monotonic() + _SETTLED_BOUND_S
    while before != (before := _pairs(port)):
        if time.monotonic() > deadline:
            raise TimeoutError("saves did not come to an end")
        time.sleep(_QUIET_S)
    first, second, half = (later - once for later, once in zip(before, at_first, strict=True))
    if not first:
        raise ValueError("no save was begun: the clients left too early")
    return Pairs(first, second, half, answered)


async def _leave(port: int, protect: str, clients: int) -> int:
    """A client leaves between its request and twice the time that a save usually takes. How many
    had an answer. Tasks, not threads, which cost more CPU time."""
    chance, gate = random.Random(SEED), asyncio.Semaphore(TOGETHER)
    request = f"POST /save/both?protect={protect} HTTP/1.1\r\nHost: localhost\r\n"
    request += "Content-Length: 0\r\n\r\n"

    async def ask(stay_s: float) -> float | None:
        """How long the answer took; None where it was not waited for."""
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                began = time.perf_counter()
                writer.write(request.encode())
                async with asyncio.timeout(stay_s):
                    await reader.readuntil(b"}")
                return time.perf_counter() - began
            except TimeoutError:
                return None
            finally:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

    usual = await asyncio.gather(*(ask(10.0) for _ in range(2 * TOGETHER)))
    within_s = 2 * statistics.median(took_s for took_s in usual if took_s is not None)
    stays = [chance.uniform(0, within_s) for _ in range(clients)]
    return sum(took_s is not None for took_s in await asyncio.gather(*map(ask, stays)))


def _pairs(port: int) -> tuple[int, ...]:
    """Halves in the first store, in the second, and those that lack the other."""
    reply = get(port, "/save/both")
    match = PAIRS.fullmatch(reply.body)
    if match is None:
        raise ValueError(f"{reply.status}: {reply.text}")
    return tuple(map(int, match.groups()))


def counted(begin: Served, settings: Settings, protect: str) -> Pairs:
    with begin(settings) as server:  # whose pairs are its own
        return count(server.port, protect, CLIENTS)


def embedded(begin: Served, protect: str) -> Answer:
    """On the two embedded databases."""
    pairs = counted(begin, SETTINGS, protect)
    return Answer(HALF if pairs.half else WHOLE, pairs.line)


def with_services(begin: Served) -> Answer:
    """Every protection on Redis and PostgreSQL, which take a while to start."""
    try:
        with redis_server() as redis, postgres_server() as postgres:
            settings = replace(SETTINGS, redis_url=redis.url, database_url=postgres.url)
            pairs_by_protection = {
                protect: counted(begin, settings, protect) for protect in BOTH_PROTECTIONS
            }
    except ServiceMissing as error:
        return Answer(NONE, str(error))
    half = [protect for protect, pairs in pairs_by_protection.items() if pairs.half]
    evidence = "; ".join(
        f"protect={protect}: {pairs.line}" for protect, pairs in pairs_by_protection.items()
    )
    return Answer(f"{HALF}: protect={', '.join(half)}" if half else WHOLE, evidence)


for stack, setting, begin in SERVERS:
    row = partial(experiment, "two-stores", stack)
    for protect in BOTH_PROTECTIONS:
        row(f"{setting}protect={protect}", begin, protect, bound_s=BOUND_S)(embedded)
    row(f"{setting}Redis and PostgreSQL", begin, bound_s=2 * BOUND_S)(with_services)
