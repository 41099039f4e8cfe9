"""The stores that the settings name.

A driver is imported only where it is asked for: no other server is to pay for it.
"""

from __future__ import annotations

from loopbench.servers.handlers.stores.protocol import AsyncStore, FirstStore, SyncStore
from loopbench.servers.probe.connection_pool import PoolWatch
from loopbench.servers.settings import Settings


def async_store(settings: Settings, folder: str, watch: PoolWatch) -> AsyncStore:
    """The database of the settings for the loop. folder: where an embedded one may be."""
    if settings.database_url is None:
        from loopbench.servers.handlers.stores.sqlite import AsyncSqlite

        return AsyncSqlite(f"{folder}/database", settings, watch)
    from loopbench.servers.handlers.stores.postgres import AsyncPostgres

    return AsyncPostgres(settings.database_url, settings, watch)


def sync_store(settings: Settings, folder: str, watch: PoolWatch) -> SyncStore:
    """The same database for worker threads."""
    if settings.database_url is None:
        from loopbench.servers.handlers.stores.sqlite import SyncSqlite

        return SyncSqlite(f"{folder}/database", settings, watch)
    from loopbench.servers.handlers.stores.postgres import SyncPostgres

    return SyncPostgres(settings.database_url, settings, watch)


def first_store(settings: Settings, folder: str) -> FirstStore:
    """Redis where the settings name one; else a second embedded database."""
    if settings.redis_url is None:
        from loopbench.servers.handlers.stores.sqlite import FirstSqlite

        return FirstSqlite(f"{folder}/first", settings)
    from loopbench.servers.handlers.stores.redis_pairs import FirstRedis

    return FirstRedis(settings.redis_url, settings)
