"""What stands behind an application's routes: two stores, and the clients of other servers.

One Backing lives as long as its application. What it holds is opened when it is first asked
for, and a database that is named when the application starts, too: a server that nobody asks
about data pays nothing for it. A store that is away is tried again by the next request.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import tempfile
import threading
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from loopbench.servers.contract.limits import (
    AMOUNT_LIMIT,
    ROWS_LIMIT,
)
from loopbench.servers.contract.payloads import STORED_ROWS
from loopbench.servers.handlers.basic import Answer, Refused, as_json
from loopbench.servers.handlers.broadcast import Feed
from loopbench.servers.handlers.data import number
from loopbench.servers.handlers.fetch import Fetcher
from loopbench.servers.handlers.stores.opening import async_store, first_store, sync_store
from loopbench.servers.handlers.stores.protocol import AsyncStore, FirstStore, StoreAway, SyncStore
from loopbench.servers.probe import active
from loopbench.servers.settings import Settings

LOG = logging.getLogger("servers")
LAST_SAVES_S = 2.0
"""How long saves under way are waited for before their stores are closed."""


class Backing:
    """See the module. Each method is the work of a route; all raise Refused(503) with the reason
    where a store is away, and Refused(400) for a query that makes no sense."""

    def __init__(self, settings: Settings) -> None:
        self.feed = Feed(settings)
        self._settings = settings
        self._fetcher = Fetcher(settings.upstream_url)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._watch = active.pool_watch()
        self._database: AsyncStore | None = None
        self._first: FirstStore | None = None
        self._in_threads: SyncStore | None = None
        self._opening = asyncio.Lock()
        self._opening_in_threads = threading.Lock()
        self._placing = threading.Lock()
        self._numbers = itertools.count()
        self._run = uuid.uuid4().hex
        self._tasks: set[asyncio.Task[None]] = set()
        self._ways: dict[str | None, Callable[[str], Awaitable[None]]] = {
            "none": self._both,
            "shield": self._each_shielded,
            "both": self._both_shielded,
            "task": self._in_a_task,
        }

    async def start(self) -> None:
        """With the application: begin the feed, and set up the database that is named, where it is
        there."""
        await self.feed.start()
        if self._settings.database_url is not None:
            try:
                await self._opened_database()
            except StoreAway as error:
                LOG.warning("the database is away: %s", error)

    async def close(self) -> None:
        """With the application's end: let the saves under way end, then close everything."""
        await self.feed.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_SAVES_S)
        await self._fetcher.close()
        for store in (self._database, self._first):
            if store is not None:
                await store.close()
        if self._in_threads is not None:
            await asyncio.to_thread(self._in_threads.close)
        if self._folder is not None:
            self._folder.cleanup()

    def pools(self) -> dict[str, int | None]:
        """Connections of the pool on the loop and of that in threads, as each said when it was
        opened; None where it was not."""
        return {
            f"database_pool_{name}": self._watch.sizes.get(name) for name in ("loop", "threads")
        }

    async def fetch(self, count: str | None, how: str | None, own: tuple[str, int]) -> Answer:
        """See `Fetcher.fetch`."""
        return await self._fetcher.fetch(count, how, own)

    async def rows(self, count: str | None) -> Answer:
        """The first `count` rows, each asked for by a query of its own, all at once."""
        wanted = _count(count)
        try:
            database = await self._opened_database()
            if wanted == 1:
                rows = [await database.row(1)]
            else:
                rows = await asyncio.gather(*(database.row(number + 1) for number in range(wanted)))
        except StoreAway as error:
            raise Refused(503, str(error)) from error
        return _rows(rows)

    def rows_in_thread(self, count: str | None) -> Answer:
        """The same rows, one query after another, for a worker thread."""
        wanted = _count(count)
        try:
            database = self._opened_in_threads()
            return _rows([database.row(number + 1) for number in range(wanted)])
        except StoreAway as error:
            raise Refused(503, str(error)) from error

    async def save(self, amount: str | None) -> Answer:
        """Save `amount` in a transaction."""
        wanted = number(amount, 1, AMOUNT_LIMIT)
        try:
            database = await self._opened_database()
            await database.save(wanted, next(self._numbers) % STORED_ROWS + 1)
        except StoreAway as error:
            raise Refused(503, str(error)) from error
        return as_json({"saved": wanted})

    async def total(self) -> Answer:
        """What all the saves come to."""
        try:
            saves, amounts, added = await (await self._opened_database()).total()
        except StoreAway as error:
            raise Refused(503, str(error)) from error
        return as_json({"saves": saves, "sum": amounts, "added": added})

    async def save_both(self, protect: str | None) -> Answer:
        """Save a pair's first half, then its second, protected as the query parameter names."""
        if protect not in self._ways:
            raise Refused(400)
        try:
            await self._opened_first()
            await self._opened_database()
            await self._ways[protect](f"{self._run}:{next(self._numbers)}")
        except StoreAway as error:
            raise Refused(503, str(error)) from error
        return as_json({"saved": protect})

    async def pairs(self) -> Answer:
        """How many halves of this server's pairs are in each store, and how many lack the other."""
        try:
            first = await (await self._opened_first()).pairs(f"{self._run}:")
            second = await (await self._opened_database()).pairs(f"{self._run}:")
        except StoreAway as error:
            raise Refused(503, str(error)) from error
        return as_json({"first": len(first), "second": len(second), "half": len(first ^ second)})

    async def _add_first(self, pair: str) -> None:
        await (await self._opened_first()).add(pair)

    async def _add_second(self, pair: str) -> None:
        await (await self._opened_database()).add_pair(pair)

    async def _both(self, pair: str) -> None:
        await self._add_first(pair)
        await self._add_second(pair)

    async def _each_shielded(self, pair: str) -> None:
        await asyncio.shield(self._kept(self._add_first(pair)))
        await asyncio.shield(self._kept(self._add_second(pair)))

    async def _both_shielded(self, pair: str) -> None:
        await asyncio.shield(self._kept(self._both(pair)))

    async def _in_a_task(self, pair: str) -> None:
        self._kept(self._both(pair))

    def _kept(self, save: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task, with the reference to it that asyncio asks for."""
        task = asyncio.get_running_loop().create_task(save)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Nobody may be left to hear what went wrong."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            LOG.warning("a save under protection failed: %s", task.exception())

    async def _opened_database(self) -> AsyncStore:
        if self._database is None:
            async with self._opening:
                if self._database is None:
                    database = async_store(self._settings, self._place(), self._watch)
                    await database.open()
                    self._database = database
        return self._database

    async def _opened_first(self) -> FirstStore:
        if self._first is None:
            async with self._opening:
                if self._first is None:
                    first = first_store(self._settings, self._place())
                    await first.open()
                    self._first = first
        return self._first

    def _opened_in_threads(self) -> SyncStore:
        with self._opening_in_threads:
            if self._in_threads is None:
                database = sync_store(self._settings, self._place(), self._watch)
                database.open()
                self._in_threads = database
            return self._in_threads

    def _place(self) -> str:
        """A folder for embedded stores, for as long as the application lives."""
        with self._placing:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="loopbench-")
            return self._folder.name


WORK: dict[str, tuple[Callable[..., Awaitable[Answer]], tuple[str, ...]]] = {
    "db-async": (Backing.rows, ("n",)),
    "db-save": (Backing.save, ("amount",)),
    "db-total": (Backing.total, ()),
    "save-both": (Backing.save_both, ("protect",)),
    "pairs": (Backing.pairs, ()),
}
"""By Route: the method that does its work on the loop, and the query parameters that it takes."""


def _count(text: str | None) -> int:
    return 1 if text is None else number(text, 1, ROWS_LIMIT)


def _rows(rows: list[tuple[int, str]]) -> Answer:
    return as_json({"rows": [{"id": key, "name": name} for key, name in rows]})
