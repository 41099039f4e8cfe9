"""A save of two rows into SQLite, whose client leaves between the two."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.disconnect.leaving import EMPTY_BODY, Begin, begins, leave, rows
from loopbench.loadtests.behaviour.disconnect.saving import SAVED
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import Agrees, Answer, Claim, Question
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

INSERT = "INSERT INTO saves VALUES (?)"


@dataclass(frozen=True, slots=True)
class Database:
    """A database file with an empty table."""

    file: Path
    seen: Seen = field(default_factory=Seen)

    def create(self) -> None:
        """Make the table."""
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute("CREATE TABLE saves (line TEXT)")

    @property
    def rows(self) -> int:
        """How many rows another connection sees."""
        with closing(sqlite3.connect(self.file)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM saves").fetchone()
        return int(count)


async def separately(
    connection: sqlite3.Connection, between: Callable[[], Awaitable[None]]
) -> None:
    """Each row is committed by itself."""
    with connection:
        connection.execute(INSERT, ("first",))
    await between()
    with connection:
        connection.execute(INSERT, ("second",))


async def in_transaction(
    connection: sqlite3.Connection, between: Callable[[], Awaitable[None]]
) -> None:
    """Both or none: an exception that passes `with`, a cancellation too, rolls back."""
    with connection:
        connection.execute(INSERT, ("first",))
        await between()
        connection.execute(INSERT, ("second",))


Save = Callable[[sqlite3.Connection, Callable[[], Awaitable[None]]], Awaitable[None]]


async def handle(database: Database, save: Save) -> None:
    """The inside of both handlers."""

    async def between() -> None:
        database.seen("begun")
        await asyncio.sleep(0.2)

    try:
        with closing(sqlite3.connect(database.file)) as connection:
            await save(connection, between)
        database.seen("handler finished")
    except asyncio.CancelledError:
        database.seen("handler cancelled")
        raise
    finally:
        database.seen("over")


def on_aiohttp(database: Database, save: Save, **options: Any) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        await handle(database, save)
        return web.Response(text="saved")

    app = web.Application()
    app.router.add_post("/", handler)
    return aiohttp_server(app, **options)


def on_quart(database: Database, save: Save) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> str:
        await handle(database, save)
        return "saved"

    return hypercorn_server(app)


def ask(begin: Begin[Database], leaving: Leaving) -> Answer:
    """Leave between the two rows, and count them from another connection afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "saves.sqlite")
        database.create()
        with begin(database) as server, Wire(server.port) as wire:
            wire.request("POST", "/", EMPTY_BODY)
            leave(wire, database.seen, leaving)
            if not database.seen.wait("over"):
                raise TimeoutError("the handler never ended")
        count, (_, handler, *_rest) = database.rows, database.seen.events
    return Answer(f"{SAVED[count]}, {handler}", f"{count} of 2 rows in the table; {handler}")


WAYS: tuple[tuple[str, Save], ...] = (
    ("a commit for each row", separately),
    ("one transaction", in_transaction),
)

QUESTION = Question(
    asks="Is a save of several rows whole or gone when its client leaves in the middle of it?",
    experiments=rows(
        ask,
        [
            row
            for name, save in WAYS
            for row in begins(partial(on_aiohttp, save=save), partial(on_quart, save=save), name)
        ],
        (Leaving.FIN,),
    ),
    claims=(
        Claim(
            "A transaction keeps a save whole when the handler is cancelled.",
            {"half saved*": Agrees.NO, "*": Agrees.YES},
            ("quart-hypercorn",),
            ("one transaction, FIN",),
        ),
        Claim(
            "A transaction keeps a save whole when the handler is cancelled.",
            {"half saved*": Agrees.NO, "*": Agrees.YES},
            ("aiohttp",),
            ("handler_cancellation=True, one transaction, FIN",),
        ),
    ),
    follows={
        "half saved*": "Put what belongs together into one transaction.",
        "lost, handler cancelled": "The transaction is rolled back: nothing is half done, and what "
        "must not be lost needs a shield as well.",
    },
)
