"""Which stores the servers use, for the record: server and driver versions, never a password."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version

from loopbench.loadtests.observe.store_cpu import DATABASE
from loopbench.loadtests.scenarios.models import Load
from loopbench.servers.store_urls import without_password
from loopbench.servers.supervision.messages import Json

_BOUND_S = 2


def described(named: Mapping[str, str], loads: Iterable[Load], *, here: bool = True) -> Json:
    """By store as JSON types; those that are named, and the embedded ones where a load asks them.

    named: URLs by their name in Settings. here: whether the servers under test run on this
    machine; else the same URL may name another store here. version: None where the store did not
    say, or was not asked.
    """
    targets = [load.case.request.target for load in loads if not load.own]
    asked = any(target.startswith(DATABASE) for target in targets)
    stores: Json = {}
    for name, setting, read, drivers in (
        ("database", "database_url", _postgres, ("asyncpg", "psycopg", "psycopg-pool")),
        ("redis", "redis_url", _redis, ("redis",)),
    ):
        if setting in named:
            stores[name] = _server(named[setting], read if here else _unread, drivers)
        elif asked:
            stores[name] = _embedded()
    return stores


def _server(url: str, read: Callable[[str], str | None], drivers: tuple[str, ...]) -> Json:
    return {
        "url": without_password(url),
        "version": read(url),
        "drivers": {name: version(name) for name in drivers},
    }


def _unread(_: str) -> None:
    return None


def _embedded() -> Json:
    return {
        "url": None,
        "version": f"SQLite {sqlite3.sqlite_version}, embedded",
        "drivers": {"aiosqlite": version("aiosqlite")},
    }


def _postgres(url: str) -> str | None:
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=_BOUND_S) as connection:
            row = connection.execute("SHOW server_version").fetchone()
    except psycopg.Error:
        return None
    return None if row is None else f"PostgreSQL {row[0]}"


def _redis(url: str) -> str | None:
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=_BOUND_S) as client:
            return f"Redis {client.info('server')['redis_version']}"
    except (redis.RedisError, OSError, KeyError):
        return None
