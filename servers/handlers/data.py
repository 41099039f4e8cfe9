"""The work behind the routes that move data: large answers, streams, uploads.

As servers.handlers.basic, the same code for every stack; imports no framework.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from loopbench.servers.contract import payloads
from loopbench.servers.contract.content import (
    BINARY,
    JSON,
    dumps,
)
from loopbench.servers.contract.limits import (
    CHUNK_BYTES_LIMIT,
    CHUNKS_LIMIT,
    ITEMS_LIMIT,
    STREAM_BYTES_LIMIT,
)
from loopbench.servers.handlers.basic import Answer, Refused

UPLOAD_PATH = "/upload"
FILE_PART = "file"
"""The part of a multipart form that `/upload` is about."""

PIECE_BYTES = 65_536
"""How much of an upload is read at once where the framework leaves that to its caller."""


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is sent chunk by chunk, with `Transfer-Encoding: chunked`."""

    content_type: str
    chunks: Iterator[bytes]


def items(count: str | None) -> Answer:
    """`count` items, made and encoded anew each time. Raises Refused(400)."""
    return Answer(200, JSON, dumps(payloads.items(number(count, 0, ITEMS_LIMIT))))


def stream(chunks: str | None, size: str | None) -> Stream:
    """So many chunks of so many bytes, each made when it is asked for. Raises Refused(400)."""
    count, length = number(chunks, 0, CHUNKS_LIMIT), number(size, 0, CHUNK_BYTES_LIMIT)
    if count * length > STREAM_BYTES_LIMIT:
        raise Refused(400)
    return Stream(BINARY, (payloads.chunk(number, length) for number in range(count) if length))


class Upload:
    """What arrives at `/upload`, counted and hashed piece by piece; no piece is kept.

    declared: the request's Content-Length, where it has one. The bound is on the body, or
    on what of it is fed where it is a form. Raises Refused(413) beyond it.
    """

    def __init__(self, limit_bytes: int, declared: int | None = None) -> None:
        self._limit = limit_bytes
        self._digest = hashlib.sha256()
        self._bytes = 0
        if declared is not None and declared > limit_bytes:
            raise Refused(413)

    def write(self, piece: bytes) -> int:
        """Take the next piece. Raises Refused(413)."""
        self._bytes += len(piece)
        if self._bytes > self._limit:
            raise Refused(413)
        self._digest.update(piece)
        return len(piece)

    def seek(self, offset: int) -> int:
        """What a form's parser does with a file at its end; there is nothing to go back to."""
        return offset

    def close(self) -> None:
        """As of a file."""

    def answer(self) -> Answer:
        """Length and digest of all that was written."""
        return Answer(200, JSON, dumps({"bytes": self._bytes, "sha256": self._digest.hexdigest()}))


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a multipart form, whose file is the upload."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def number(text: str | None, least: int, most: int) -> int:
    """A query parameter as a whole number of these bounds. Raises Refused(400), also for None."""
    # int() alone would take signs, spaces, underscores and other scripts' digits.
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > len(str(most)):
        raise Refused(400)
    if not least <= int(text) <= most:
        raise Refused(400)
    return int(text)
