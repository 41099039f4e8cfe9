"""What the routes of the database want of a store."""

from __future__ import annotations

from typing import Protocol

Total = tuple[int, int, int]
"""How many saves there are, the sum of their amounts, and what the rows have gained by them."""

DRY = "no connection of the pool was free in time"
"""Why a store is away whose connections are all in use."""

LACKING = "database: a row is missing that it was set up with"
"""Why a store is away whose rows somebody else has deleted."""


class StoreAway(Exception):
    """The store cannot be had now: it is gone, no connection was free in time, or somebody else has
    changed or broken what is in it.

    The message is a few words that do not vary from request to request.
    """


class AsyncStore(Protocol):
    """A pool of connections, used on the loop. All but `close` raise StoreAway."""

    async def open(self) -> None:
        """Connect, and set the tables up. Called once; what fails leaves nothing open."""

    async def row(self, number: int) -> tuple[int, str]:
        """One row by its number."""

    async def save(self, amount: int, number: int) -> None:
        """A save, and what row `number` gains by it, in one transaction."""

    async def total(self) -> Total:
        """What all the saves come to."""

    async def add_pair(self, pair: str) -> None:
        """The second half of a pair."""

    async def pairs(self, start: str) -> set[str]:
        """Those that begin so."""

    async def close(self) -> None:
        """Close all connections."""


class SyncStore(Protocol):
    """A pool of connections, used in worker threads. All but `close` raise StoreAway."""

    def open(self) -> None:
        """Connect, and set the tables up."""

    def row(self, number: int) -> tuple[int, str]:
        """One row by its number."""

    def close(self) -> None:
        """Close all connections."""


class FirstStore(Protocol):
    """Where `/save/both` writes first. All but `close` raise StoreAway."""

    async def open(self) -> None:
        """Connect."""

    async def add(self, pair: str) -> None:
        """The first half of a pair."""

    async def pairs(self, start: str) -> set[str]:
        """Those that begin so."""

    async def close(self) -> None:
        """Close all connections."""
