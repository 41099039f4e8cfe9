"""Bodies of answers that Locust's own clients read whole: bounded in bytes, unpacked ones too.

requests and geventhttpclient collect a body of any length, and unpack it to any length. In the
generator's process what both call for it is put in the place of theirs here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import requests
from brotli import Decompressor  # type: ignore[import-untyped]
from locust.contrib.fasthttp import FastResponse

MOST_BYTES = 16 * 1024 * 1024
"""Of one body, as many as an own application's may have in a loads file."""

MOST_HELD_BYTES = 48 * 1024 * 1024
"""Of all bodies that are read, or that users of a locustfile still hold, at the same time."""

_PIECE = 65536
_WINDOWS = {"gzip": (zlib.MAX_WBITS | 16,), "deflate": (-zlib.MAX_WBITS, zlib.MAX_WBITS)}
"""How zlib may read a Content-Encoding; some send deflate with a header of zlib, some without."""

_TRUNCATED = "incomplete or truncated stream"


class TooLarge(requests.RequestException, ConnectionError):
    """A body of more bytes than are kept. Both of Locust's clients take it for a failed request."""


class _Body(bytes):
    """A body that counts as held for as long as it lives."""

    def __del__(self) -> None:
        _held.bytes -= len(self)


class _Held:
    bytes = 0


_held = _Held()


def bound_bodies() -> None:
    """Bound the bodies of every answer to Locust's HTTP users in this process."""
    requests.Response.content = property(_content_of_requests)  # type: ignore[assignment,method-assign]
    FastResponse._content = _content_of_fast  # type: ignore[method-assign]


def collected(pieces: Iterator[bytes]) -> bytes:
    """The whole of them. Raises TooLarge."""
    body = bytearray()
    try:
        for piece in pieces:
            body += piece
            _held.bytes += len(piece)
            if len(body) > MOST_BYTES:
                raise TooLarge(f"an answer of more than {MOST_BYTES:,} bytes")
            if _held.bytes > MOST_HELD_BYTES:
                raise TooLarge(f"answers of more than {MOST_HELD_BYTES:,} bytes at the same time")
    except BaseException:
        _held.bytes -= len(body)
        body.clear()  # whoever keeps the error keeps this frame
        raise
    return _Body(body)


def _content_of_requests(response: requests.Response) -> bytes | None:
    """See `requests.Response.content`."""
    if response._content is False:
        if response._content_consumed:
            raise RuntimeError("The content for this response was already consumed")
        if response.status_code == 0 or response.raw is None:
            response._content = None
        else:
            try:
                response._content = collected(response.iter_content(_PIECE))
            except TooLarge:
                response._content = b""
                response.close()
                raise
    response._content_consumed = True
    return response._content


def _content_of_fast(response: Any) -> bytes | None:
    """See `geventhttpclient.useragent.CompatResponse._content`."""
    if response.headers is None:
        return None
    encoding = next(iter(response.headers.getlist("content-encoding")), "identity").lower()
    try:
        body = collected(iter(lambda: response._response.read(_PIECE), b""))
        return body if encoding == "identity" else collected(_unpacked(body, encoding))
    finally:
        response.release()


def _unpacked(body: bytes, encoding: str) -> Iterator[bytes]:
    """Raises zlib.error and ValueError, as geventhttpclient does."""
    if encoding == "br":
        return _unpacked_by_brotli(body)
    windows = _WINDOWS.get(encoding)
    if windows is None:
        raise ValueError(f"Unknown content encoding: {encoding}")
    for window in windows[:-1]:
        try:
            zlib.decompressobj(window).decompress(body, 1)
        except zlib.error:
            continue
        return _unpacked_by_zlib(body, window)
    return _unpacked_by_zlib(body, windows[-1])


def _unpacked_by_zlib(body: bytes, window: int) -> Iterator[bytes]:
    unpacker, rest = zlib.decompressobj(window), body
    while not unpacker.eof:
        piece = unpacker.decompress(rest, _PIECE)
        rest = unpacker.unconsumed_tail
        if not piece and not rest and not unpacker.eof:
            raise zlib.error(_TRUNCATED)
        yield piece


def _unpacked_by_brotli(body: bytes) -> Iterator[bytes]:
    unpacker = Decompressor()
    yield unpacker.process(body, output_buffer_limit=_PIECE)
    while not unpacker.is_finished():
        piece = unpacker.process(b"", output_buffer_limit=_PIECE)
        if not piece and unpacker.can_accept_more_data():
            raise zlib.error(_TRUNCATED)
        yield piece
