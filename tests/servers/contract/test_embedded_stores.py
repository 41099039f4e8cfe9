"""The embedded stores at a database that another connection holds."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from loopbench.servers.handlers.stores.protocol import StoreAway
from loopbench.servers.handlers.stores.sqlite import AsyncSqlite, FirstSqlite, SyncSqlite
from loopbench.servers.probe import active
from loopbench.servers.settings import Settings

SETTINGS = Settings(pool_size=2, pool_timeout_s=0.1)
HELD_S = 0.5
"""Longer than a request waits."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database as the stores set it up."""
    path = tmp_path / "database"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").close()
    return path


@contextmanager
def held(path: Path, seconds: float | None = None) -> Iterator[None]:
    """Another connection writes meanwhile, or for so long."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        ends = threading.Timer(0.0 if seconds is None else seconds, other.rollback)
        if seconds is not None:
            ends.start()
        try:
            yield
        finally:
            if seconds is None:
                other.rollback()
            else:
                ends.join()


def test_a_store_that_is_set_up_waits_for_its_turn(path: Path) -> None:
    """For longer than a request does: that nobody had opened it yet is no fault of the first."""

    async def on_the_loop() -> tuple[int, str]:
        store = AsyncSqlite(str(path), SETTINGS, active.pool_watch())
        with held(path, HELD_S):
            await store.open()
        found = await store.row(1)
        await store.close()
        return found

    async def the_first() -> set[str]:
        store = FirstSqlite(str(path.with_name("first")), SETTINGS)
        with closing(sqlite3.connect(path.with_name("first"))) as other:
            other.execute("PRAGMA journal_mode = WAL").close()
        with held(path.with_name("first"), HELD_S):
            await store.open()
        await store.add("run:1")
        found = await store.pairs("run:")
        await store.close()
        return found

    assert asyncio.run(on_the_loop()) == (1, "row 1")
    assert asyncio.run(the_first()) == {"run:1"}
    in_threads = SyncSqlite(str(path), SETTINGS, active.pool_watch())
    with held(path, HELD_S):
        in_threads.open()
    assert in_threads.row(1) == (1, "row 1")
    in_threads.close()


def test_a_request_waits_as_long_as_the_pool_may_let_it(path: Path) -> None:
    """Once the store is set up, and not for as long as that may take."""

    async def save() -> None:
        store = AsyncSqlite(str(path), SETTINGS, active.pool_watch())
        await store.open()
        try:
            with held(path), pytest.raises(StoreAway, match="database is locked"):
                await store.save(1, 1)
        finally:
            await store.close()

    asyncio.run(asyncio.wait_for(save(), timeout=20.0))


def test_a_store_that_has_opened_keeps_no_lock(path: Path) -> None:
    """Another connection may write at once, whichever of them has been set up."""

    async def opened() -> None:
        store = AsyncSqlite(str(path), SETTINGS, active.pool_watch())
        await store.open()
        try:
            with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
                other.execute("BEGIN IMMEDIATE")
                other.rollback()
        finally:
            await store.close()

    asyncio.run(opened())
