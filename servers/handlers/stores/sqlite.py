"""The embedded stores: SQLite by aiosqlite on the loop, by the standard library in threads.

aiosqlite runs each connection in a thread of its own, beside the loop's executor.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiosqlite

from loopbench.servers.handlers.stores import statements
from loopbench.servers.handlers.stores.protocol import DRY, LACKING, StoreAway, Total
from loopbench.servers.probe.connection_pool import PoolWatch
from loopbench.servers.settings import Settings

_SET_UP = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL")
_OPENING_S = 30.0
"""How long a connection that is being set up waits for a lock. A request waits as long as the pool
may let it; on a machine with a load of 15 the first one was answered with 503 for this."""

_PATIENCE = "PRAGMA busy_timeout = {:.0f}"

_row, _insert_save, _update_row, _insert_pair, _pairs, _insert_row = (
    statement.format("?", "?") for statement in statements.STATEMENTS
)


def _away(error: sqlite3.DatabaseError) -> StoreAway:
    """Of a database that is locked, broken, or not as it was set up."""
    return StoreAway(f"database: {error}")


class AsyncSqlite:
    """See `protocol.AsyncStore`."""

    def __init__(self, path: str, settings: Settings, watch: PoolWatch) -> None:
        self._path = path
        self._settings = settings
        self._watch = watch
        self._all: list[aiosqlite.Connection] = []
        self._free: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()

    async def open(self) -> None:
        try:
            for _ in range(self._settings.pool_size):
                connection = await aiosqlite.connect(
                    self._path, isolation_level=None, timeout=_OPENING_S
                )
                self._all.append(connection)
                await _set_up(connection)
            await self._transaction(self._all[0], _fill)
            for connection in self._all:
                await _wait_at_most(connection, self._settings.pool_timeout_s)
        except sqlite3.DatabaseError as error:
            await self.close()
            raise _away(error) from error
        except BaseException:
            await self.close()
            raise
        for connection in self._all:
            self._free.put_nowait(connection)
        self._watch.sizes["loop"] = len(self._all)

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[aiosqlite.Connection]:
        began = self._watch.begin()
        try:
            async with asyncio.timeout(self._settings.pool_timeout_s):
                connection = await self._free.get()
        except TimeoutError:
            raise StoreAway(DRY) from None
        finally:
            self._watch.end(began)
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise _away(error) from error
        finally:
            self._free.put_nowait(connection)

    @staticmethod
    async def _transaction(
        connection: aiosqlite.Connection, steps: Callable[[aiosqlite.Connection], Awaitable[None]]
    ) -> None:
        try:
            await connection.execute("BEGIN IMMEDIATE")
            await steps(connection)
            await connection.commit()
        except BaseException:
            # Its thread takes this in turn, after what a cancelled handler has left it with.
            await connection.rollback()
            raise

    async def row(self, number: int) -> tuple[int, str]:
        async with self._acquired() as connection:
            async with connection.execute(_row, (number,)) as cursor:
                row = await cursor.fetchone()
        if row is None:
            raise StoreAway(LACKING)
        return row[0], row[1]

    async def save(self, amount: int, number: int) -> None:
        async def steps(connection: aiosqlite.Connection) -> None:
            await connection.execute(_insert_save, (amount,))
            await connection.execute(_update_row, (amount, number))

        async with self._acquired() as connection:
            await self._transaction(connection, steps)

    async def total(self) -> Total:
        async with self._acquired() as connection:
            async with connection.execute(statements.SELECT_TOTAL) as cursor:
                row = await cursor.fetchone()
        assert row is not None
        return row[0], row[1], row[2]

    async def add_pair(self, pair: str) -> None:
        async with self._acquired() as connection:
            await connection.execute(_insert_pair, (pair,))

    async def pairs(self, start: str) -> set[str]:
        async with self._acquired() as connection:
            async with connection.execute(_pairs, (f"{start}%",)) as cursor:
                return {pair async for (pair,) in cursor}

    async def close(self) -> None:
        for connection in self._all:
            await connection.close()
        self._all.clear()


async def _set_up(connection: aiosqlite.Connection) -> None:
    """Each statement is closed: an answer that nobody has fetched keeps its lock."""
    for statement in _SET_UP:
        async with connection.execute(statement):
            pass


async def _wait_at_most(connection: aiosqlite.Connection, seconds: float) -> None:
    async with connection.execute(_PATIENCE.format(seconds * 1000)):
        pass


async def _fill(connection: aiosqlite.Connection) -> None:
    for statement in statements.TABLES:
        await connection.execute(statement)
    await connection.executemany(_insert_row, statements.ROWS)


class FirstSqlite:
    """See `protocol.FirstStore`: one connection to a database of its own."""

    def __init__(self, path: str, settings: Settings) -> None:
        self._path = path
        self._timeout_s = settings.pool_timeout_s
        self._connection: aiosqlite.Connection | None = None

    async def open(self) -> None:
        try:
            self._connection = await aiosqlite.connect(
                self._path, isolation_level=None, timeout=_OPENING_S
            )
            await _set_up(self._connection)
            for statement in statements.TABLES:
                await self._connection.execute(statement)
            await _wait_at_most(self._connection, self._timeout_s)
        except sqlite3.DatabaseError as error:
            await self.close()
            raise _away(error) from error
        except BaseException:
            await self.close()
            raise

    async def add(self, pair: str) -> None:
        assert self._connection is not None
        try:
            await self._connection.execute(_insert_pair, (pair,))
        except sqlite3.DatabaseError as error:
            raise _away(error) from error

    async def pairs(self, start: str) -> set[str]:
        assert self._connection is not None
        try:
            async with self._connection.execute(_pairs, (f"{start}%",)) as cursor:
                return {pair async for (pair,) in cursor}
        except sqlite3.DatabaseError as error:
            raise _away(error) from error

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


class SyncSqlite:
    """See `protocol.SyncStore`."""

    def __init__(self, path: str, settings: Settings, watch: PoolWatch) -> None:
        self._path = path
        self._settings = settings
        self._watch = watch
        self._all: list[sqlite3.Connection] = []
        self._free: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()

    def open(self) -> None:
        try:
            for _ in range(self._settings.pool_size):
                connection = sqlite3.connect(
                    self._path,
                    isolation_level=None,
                    timeout=_OPENING_S,
                    check_same_thread=False,  # one thread at a time, as the pool sees to
                )
                self._all.append(connection)
                for statement in _SET_UP:
                    connection.execute(statement).close()
            self._fill(self._all[0])
            for connection in self._all:
                connection.execute(_PATIENCE.format(self._settings.pool_timeout_s * 1000)).close()
        except sqlite3.DatabaseError as error:
            self.close()
            raise _away(error) from error
        except BaseException:
            self.close()
            raise
        for connection in self._all:
            self._free.put(connection)
        self._watch.sizes["threads"] = len(self._all)

    @staticmethod
    def _fill(connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements.TABLES:
            connection.execute(statement)
        connection.executemany(_insert_row, statements.ROWS)
        connection.commit()

    @contextmanager
    def _acquired(self) -> Iterator[sqlite3.Connection]:
        began = self._watch.begin()
        try:
            connection = self._free.get(timeout=self._settings.pool_timeout_s)
        except queue.Empty:
            raise StoreAway(DRY) from None
        finally:
            self._watch.end(began)
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise _away(error) from error
        finally:
            self._free.put(connection)

    def row(self, number: int) -> tuple[int, str]:
        with self._acquired() as connection:
            row = connection.execute(_row, (number,)).fetchone()
        if row is None:
            raise StoreAway(LACKING)
        return row[0], row[1]

    def close(self) -> None:
        for connection in self._all:
            connection.close()
        self._all.clear()
