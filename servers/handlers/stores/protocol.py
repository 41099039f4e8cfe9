"""What the routes of the database want of a store, and which store a URL names.

The tables are the same everywhere, and so are the statements, but for how a parameter
is written. Setting them up again changes nothing.
"""

from __future__ import annotations

from typing import Protocol

from loopbench.servers.contract.data_cases import STORED_ROWS, row_name

Total = tuple[int, int, int]
"""How many saves there are, the sum of their amounts, and what the rows have gained by them."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS loopbench_rows (id INTEGER PRIMARY KEY, name TEXT, added BIGINT)",
    "CREATE TABLE IF NOT EXISTS loopbench_saves (amount BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS loopbench_pairs (pair TEXT PRIMARY KEY)",
)
ROWS = [(number, row_name(number)) for number in range(1, STORED_ROWS + 1)]

INSERT_ROW = "INSERT INTO loopbench_rows VALUES ({0}, {1}, 0) ON CONFLICT DO NOTHING"
SELECT_ROW = "SELECT id, name FROM loopbench_rows WHERE id = {0}"
INSERT_SAVE = "INSERT INTO loopbench_saves VALUES ({0})"
UPDATE_ROW = "UPDATE loopbench_rows SET added = added + {0} WHERE id = {1}"
INSERT_PAIR = "INSERT INTO loopbench_pairs VALUES ({0})"
SELECT_PAIRS = "SELECT pair FROM loopbench_pairs WHERE pair LIKE {0}"
SELECT_TOTAL = (
    "SELECT (SELECT count(*) FROM loopbench_saves), "
    "(SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM loopbench_saves), "
    "(SELECT CAST(coalesce(sum(added), 0) AS BIGINT) FROM loopbench_rows)"
)

STATEMENTS = (SELECT_ROW, INSERT_SAVE, UPDATE_ROW, INSERT_PAIR, SELECT_PAIRS, INSERT_ROW)
"""Those with parameters, for a store to write in its own way."""


class StoreAway(Exception):
    """The store cannot be had now: it is gone, or no connection was free in time.

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
