"""What routes answer with, where that is more than a constant, and what their database holds."""

from __future__ import annotations

from loopbench.servers.supervision.messages import Json

HELLO = "hello"
"""What `/ws` sends over and over."""

STORED_ROWS = 1000
"""The rows that the database is set up with, numbered from 1."""


def items(count: int) -> list[Json]:
    """What `GET /json` answers with, about 64 bytes of JSON each."""
    return [
        {"id": number, "name": f"item {number:05}", "price": number / 4, "tags": ["new", "sold"]}
        for number in range(count)
    ]


def chunk(number: int, size: int) -> bytes:
    """One chunk of `/stream`, counted from 0: a letter over and over."""
    return b"%c" % (ord("a") + number % 26) * size


def row_name(number: int) -> str:
    """The name of a row of the database."""
    return f"row {number}"
