"""Saves of several parts, in one database or two stores: whole, half or gone when clients leave."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from loopbench.loadtests.behaviour.asking import NONE, Answer, experiment
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.disconnect.leaving import CANCEL, FIN, Begin, leaves, serving
from loopbench.loadtests.behaviour.disconnect.saving import SAVED
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART
from loopbench.loadtests.behaviour.talking import Leaving, Seen, Wire, get
from loopbench.loadtests.services.services import ServiceMissing, postgres_server, redis_server
from loopbench.servers.apps import aiohttp_app, quart_app
from loopbench.servers.contract.data_cases import BOTH_PROTECTIONS, PAIRS
from loopbench.servers.settings import Settings

INSERT = "INSERT INTO saves VALUES (?)"


Between = Callable[[], Awaitable[None]]
Save = Callable[[sqlite3.Connection, Between], Awaitable[None]]


async def separately(connection: sqlite3.Connection, between: Between) -> None:
    """Each row is committed by itself."""
    with connection:
        connection.execute(INSERT, ("first",))
    await between()
    with connection:
        connection.execute(INSERT, ("second",))


async def in_transaction(connection: sqlite3.Connection, between: Between) -> None:
    """Both or none: an exception that passes `with`, a cancellation too, rolls back."""
    with connection:
        connection.execute(INSERT, ("first",))
        await between()
        connection.execute(INSERT, ("second",))


@dataclass(frozen=True, slots=True)
class Database:
    """A database file, of which a handler reports."""

    file: Path
    seen: Seen = field(default_factory=Seen)

    async def between(self) -> None:
        """What a handler waits for between its two rows."""
        self.seen("begun")
        await asyncio.sleep(0.2)


async def handle(save: Save, database: Database) -> None:
    with scene.handling(database.seen), closing(sqlite3.connect(database.file)) as connection:
        await save(connection, database.between)


def _with(save: Save, setting: str) -> scene.Begins:
    makes = scene.both(lambda database: {"/": partial(handle, save, database)})
    return scene.begins(makes, setting)


@leaves("save-in-transaction", _with(separately, "a commit for each row"), FIN)
@leaves("save-in-transaction", _with(in_transaction, "one transaction"), FIN)
def ask_rows(begin: Begin, leaving: Leaving) -> Answer:
    """Leave between the two rows, and count them from another connection afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "saves.sqlite")
        with closing(sqlite3.connect(database.file)) as connection, connection:
            connection.execute("CREATE TABLE saves (line TEXT)")
        with begin(database) as server, Wire(server.port) as wire:
            wire.request("POST", "/", scene.EMPTY_BODY)
            scene.leave(wire, database.seen, leaving)
            database.seen.expect("over", "the handler never ended")
        with closing(sqlite3.connect(database.file)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM saves").fetchone()
    _, handler, *_rest = database.seen.events
    return Answer(f"{SAVED[count]}, {handler}", f"{count} of 2 rows in the table; {handler}")


# The same with two stores: the suite's own application, with its `POST /save/both`. What is in
# one store only, when everything that was begun has ended, is a pair half written.

CLIENTS = 1000
TOGETHER = 32
SEED = 11
BOUND_S = 75.0
SETTINGS = Settings(pool_timeout_s=60.0)
"""So that a pool run dry, which can halve a pair too, has no part in the answer."""

_QUIET_S = 0.3
_SETTLED_BOUND_S = 30.0

WHOLE, HALF = "no pair is half-written", "some pairs are half-written"

QUIET: dict[str, Any] = {"access_log": None}
SERVERS: tuple[tuple[str, str, Begin], ...] = (
    (AIOHTTP, "", serving(aiohttp_app.create_app, **QUIET)),
    (AIOHTTP, "handler_cancellation=True, ", serving(aiohttp_app.create_app, **QUIET, **CANCEL)),
    (QUART, "", serving(quart_app.create_app)),
)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Halves in each store, and those that lack the other; of how many clients, who left within
    so long, how many had an answer."""

    first: int
    second: int
    half: int
    clients: int
    within_s: float
    answered: int

    @property
    def line(self) -> str:
        """In words."""
        return (
            f"{self.half} pairs half-written of {self.clients} clients that left within "
            f"{self.within_s * 1000:.0f} ms, {self.answered} of them with an answer; "
            f"{self.first} halves in the first store, {self.second} in the second"
        )


def count(port: int, protect: str, clients: int) -> Pairs:
    """Let so many clients ask for a save and leave, and count once everything has ended."""
    at_first = _pairs(port)
    within_s, answered = asyncio.run(_leave(port, protect, clients))
    before = _pairs(port)
    deadline, quiet_since = time.monotonic() + _SETTLED_BOUND_S, time.monotonic()
    while time.monotonic() - quiet_since < _QUIET_S:
        if time.monotonic() > deadline:
            raise TimeoutError("saves did not come to an end")
        time.sleep(0.05)
        now = _pairs(port)
        if now != before:
            before, quiet_since = now, time.monotonic()
    first, second, half = (later - once for later, once in zip(before, at_first, strict=True))
    if not first:
        raise ValueError("no save was begun: the clients left too early")
    return Pairs(first, second, half, clients, within_s, answered)


async def _leave(port: int, protect: str, clients: int) -> tuple[float, int]:
    """A client leaves between its request and twice the time that a save usually takes."""
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
    within_s = 2 * statistics.median(took for took in usual if took is not None)
    stays = [chance.uniform(0, within_s) for _ in range(clients)]
    seen = await asyncio.gather(*map(ask, stays))
    return within_s, sum(took is not None for took in seen)


def _pairs(port: int) -> tuple[int, int, int]:
    reply = get(port, "/save/both")
    found = PAIRS.fullmatch(reply.body)
    if found is None:
        raise ValueError(f"{reply.status}: {reply.text}")
    first, second, half = map(int, found.groups())
    return first, second, half


def counted(begin: Begin, settings: Settings, protect: str) -> Pairs:
    with begin(settings) as server:  # whose pairs are its own
        return count(server.port, protect, CLIENTS)


def embedded(begin: Begin, protect: str) -> Answer:
    """On the two embedded databases."""
    found = counted(begin, SETTINGS, protect)
    return Answer(HALF if found.half else WHOLE, found.line)


def with_services(begin: Begin) -> Answer:
    """Every protection on Redis and PostgreSQL, which take a while to start."""
    try:
        with redis_server() as redis, postgres_server() as postgres:
            settings = replace(SETTINGS, redis_url=redis.url, database_url=postgres.url)
            found = {protect: counted(begin, settings, protect) for protect in BOTH_PROTECTIONS}
    except ServiceMissing as error:
        return Answer(NONE, str(error))
    half = [protect for protect, pairs in found.items() if pairs.half]
    return Answer(
        f"{HALF}: protect={', '.join(half)}" if half else WHOLE,
        "; ".join(f"protect={protect}: {pairs.line}" for protect, pairs in found.items()),
    )


for stack, setting, begin in SERVERS:
    for protect in BOTH_PROTECTIONS:
        named = f"{setting}protect={protect}"
        experiment("two-stores", stack, named, begin, protect, bound_s=BOUND_S)(embedded)
    named = f"{setting}Redis and PostgreSQL"
    experiment("two-stores", stack, named, begin, bound_s=2 * BOUND_S)(with_services)
