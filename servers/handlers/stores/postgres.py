"""PostgreSQL: asyncpg and its pool on the loop, psycopg and its pool in threads."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import asyncpg
import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from loopbench.servers.handlers.stores import statements
from loopbench.servers.handlers.stores.protocol import DRY, LACKING, StoreAway, Total
from loopbench.servers.probe.connection_pool import PoolWatch
from loopbench.servers.settings import Settings

LOST = "database: connections are lost, and no new ones could be had in time"

_LOCK = 7_063_241
"""Of the setting-up: two servers that create a table at the same time would collide."""

AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.InternalClientError,
)
"""What asyncpg raises when the server is gone, goes, or is not yet ready. The last one: where
the server's last word comes while a connection lies idle, asyncpg 0.32 takes the next request for
a second one at a time."""

UNANSWERED = (*AWAY, asyncpg.PostgresError)
"""The same once tables were set up: what is wrong with them by then, somebody else has changed."""

_row, _insert_save, _update_row, _insert_pair, _pairs, _insert_row = (
    statement.format("$1", "$2") for statement in statements.STATEMENTS
)


class AsyncPostgres:
    """See `protocol.AsyncStore`."""

    def __init__(self, url: str, settings: Settings, watch: PoolWatch) -> None:
        self._url = url
        self._settings = settings
        self._watch = watch
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        size = self._settings.pool_size
        pool = asyncpg.create_pool(
            self._url, min_size=size, max_size=size, timeout=self._settings.pool_timeout_s
        )
        try:
            await pool
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
                for statement in statements.TABLES:
                    await connection.execute(statement)
                await connection.executemany(_insert_row, statements.ROWS)
        except AWAY as error:
            pool.terminate()
            raise _away(error) from error
        except BaseException:
            pool.terminate()
            raise
        self._pool = pool
        self._watch.sizes["loop"] = pool.get_size()

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[asyncpg.Connection]:
        pool = self._pool
        assert pool is not None
        began = self._watch.begin()
        try:
            connection = await pool.acquire(timeout=self._settings.pool_timeout_s)
        except TimeoutError:
            raise StoreAway(DRY) from None
        except AWAY as error:
            raise _away(error) from error
        finally:
            self._watch.end(began)
        try:
            yield connection
        except UNANSWERED as error:
            raise _away(error) from error
        finally:
            # One that cannot be reset is dropped by the pool; what was asked of it is done.
            with suppress(*AWAY):
                await pool.release(connection)

    async def row(self, number: int) -> tuple[int, str]:
        async with self._acquired() as connection:
            row = await connection.fetchrow(_row, number)
        if row is None:
            raise StoreAway(LACKING)
        return row[0], row[1]

    async def save(self, amount: int, number: int) -> None:
        async with self._acquired() as connection:
            async with connection.transaction():
                await connection.execute(_insert_save, amount)
                await connection.execute(_update_row, amount, number)

    async def total(self) -> Total:
        async with self._acquired() as connection:
            row = await connection.fetchrow(statements.SELECT_TOTAL)
        return row[0], row[1], row[2]

    async def add_pair(self, pair: str) -> None:
        async with self._acquired() as connection:
            await connection.execute(_insert_pair, pair)

    async def pairs(self, start: str) -> set[str]:
        async with self._acquired() as connection:
            return {pair for (pair,) in await connection.fetch(_pairs, f"{start}%")}

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()


def _away(error: BaseException) -> StoreAway:
    return StoreAway(f"database: {type(error).__name__}")


_row_in_thread, _insert_row_in_thread = (
    statement.format("%s", "%s") for statement in (statements.SELECT_ROW, statements.INSERT_ROW)
)


class SyncPostgres:
    """See `protocol.SyncStore`."""

    def __init__(self, url: str, settings: Settings, watch: PoolWatch) -> None:
        self._settings = settings
        self._watch = watch
        self._counting = threading.Lock()
        self._in_use = 0
        self._pool = ConnectionPool(
            url,
            min_size=settings.pool_size,
            max_size=settings.pool_size,
            timeout=settings.pool_timeout_s,
            kwargs={"autocommit": True, "connect_timeout": 2},
            open=False,
        )

    def open(self) -> None:
        try:
            self._pool.open(wait=True, timeout=self._settings.pool_timeout_s)
            with self._pool.connection() as connection, connection.transaction():
                connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
                for statement in statements.TABLES:
                    connection.execute(statement)
                connection.cursor().executemany(_insert_row_in_thread, statements.ROWS)
        except psycopg.OperationalError as error:
            self._pool.close()
            raise _away(error) from error
        except BaseException:
            self._pool.close()
            raise
        self._watch.sizes["threads"] = self._pool.get_stats()["pool_size"]

    @contextmanager
    def _acquired(self) -> Iterator[psycopg.Connection]:
        began = self._watch.begin()
        try:
            connection = self._pool.getconn()
        except PoolTimeout:
            # The pool says the same where it could not connect again.
            raise StoreAway(DRY if self._in_use >= self._settings.pool_size else LOST) from None
        finally:
            self._watch.end(began)
        self._count(1)
        try:
            yield connection
        except psycopg.DatabaseError as error:
            raise _away(error) from error
        finally:
            self._count(-1)
            self._pool.putconn(connection)

    def _count(self, more: int) -> None:
        with self._counting:
            self._in_use += more

    def row(self, number: int) -> tuple[int, str]:
        with self._acquired() as connection:
            row = connection.execute(_row_in_thread, (number,)).fetchone()
        if row is None:
            raise StoreAway(LACKING)
        return row[0], row[1]

    def close(self) -> None:
        self._pool.close()
