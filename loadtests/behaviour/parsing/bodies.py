"""Bodies of requests: how large, compressed, in pieces, asked for first, and never finished."""

import asyncio
import gzip
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp import web
from quart import abort, request

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, Apps, Build, serve
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments
from loopbench.loadtests.behaviour.parsing import scene
from loopbench.loadtests.behaviour.parsing.scene import exchanged, joined, post, readers
from loopbench.loadtests.behaviour.talking import NoAnswer, Wire, as_seen, head, seen

MIB = 2**20
MOST = 32 * MIB
LONG_S = 65.0
CHUNKED = "Transfer-Encoding: chunked"


async def whole(read: Callable[[], Awaitable[Any]]) -> str:
    seen("called")
    return f"{len(await read())}"


async def streamed(pieces: AsyncIterable[bytes]) -> str:
    size = 0
    async for piece in pieces:
        size += len(piece)
        seen(f"read {piece[:9].decode()}")
    return f"{size}"


WHOLE = readers(lambda request: whole(request.read), lambda: whole(request.get_data))
STREAMED = readers(
    aiohttp=lambda request: streamed(request.content.iter_any()),
    quart=lambda: streamed(request.body),
)
"""Applications that say how many bytes they have read."""


def _send(port: int, size: int, chunked: bool) -> scene.Exchange:
    """POST so many bytes at once; what came back. Raises ValueError for a wrong count."""
    length = CHUNKED if chunked else f"Content-Length: {size}"
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, bytes(size)) if chunked else bytes(size)
    got = scene.exchange(port, head("POST", "/", length) + body)
    if got.reply and got.reply.status == 200 and got.reply.text != f"{size}":
        raise ValueError(f"{size} bytes were sent, and {got.reply.text} were read")
    return got


IN_PIECES = "read through async for of request.body"
ON_AIOHTTP, ON_QUART = WHOLE[AIOHTTP], WHOLE[QUART]
QUART_PIECES = STREAMED[QUART]
limited = partial(experiment, "body-limit")


@limited(AIOHTTP, DEFAULT, ON_AIOHTTP)
@limited(AIOHTTP, "chunked", ON_AIOHTTP, chunked=True)
@limited(AIOHTTP, "read through request.content", STREAMED[AIOHTTP])
@limited(AIOHTTP, "client_max_size=4 * 2**20", ON_AIOHTTP, client_max_size=4 * MIB)
@limited(AIOHTTP, "client_max_size=0", ON_AIOHTTP, client_max_size=0)
@limited(QUART, DEFAULT, ON_QUART)
@limited(QUART, "chunked", ON_QUART, chunked=True)
@limited(QUART, IN_PIECES, QUART_PIECES)
@limited(QUART, f"{IN_PIECES}, chunked", QUART_PIECES, chunked=True)
@limited(QUART, "MAX_CONTENT_LENGTH=4 * 2**20", ON_QUART, MAX_CONTENT_LENGTH=4 * MIB)
@limited(QUART, "MAX_CONTENT_LENGTH=None", ON_QUART, MAX_CONTENT_LENGTH=None)
def ask_limit(application: Build, chunked: bool = False, **options: Any) -> Answer:
    """Double the size until it is refused, then try one byte more than what last went through."""
    with serve(application(**options)) as server:
        size = MIB
        while (got := _send(server.port, size, chunked)).words == "200, stays open":
            if size == MOST:
                return Answer("no limit up to 32 MiB", f"{MOST} bytes were read whole")
            size *= 2
        fits = size // 2
        more = _send(server.port, fits + 1, chunked)
    limit = f"{fits // MIB} MiB"
    # Without a length the server has read as much as it had to, which may be all.
    refusal, nearest_refusal = (
        exchange.status if chunked else exchange.words for exchange in (got, more)
    )
    if refusal != nearest_refusal:
        limit = f"between {limit} and {size // MIB} MiB"
    evidence = f"{fits} bytes were read; of {fits + 1}: {more.words}; of {size}: {got.words}"
    return Answer(f"{limit}, beyond {refusal}", evidence)


@experiments("chunked-request", WHOLE, {"when it is called": "called"})
@experiments("chunked-request", STREAMED, {"read piece by piece": "read abc"})
def ask_pieces(application: Build, event: str) -> Answer:
    """Send one piece, see what has happened, and send the rest."""
    with serve(application()) as server, Wire(server.port) as wire:
        wire.send(head("POST", "/", CHUNKED) + b"3\r\nabc\r\n")
        early = seen.wait(event, 3.0)
        wire.send(b"3\r\ndef\r\n0\r\n\r\n")
        reply = wire.answer()
    when = "before" if early else "after"
    whole = "whole" if reply.text == "6" else f"as {reply.text!r}"
    return as_seen(f"{when} the rest was sent", f"{reply.status}, the body was read {whole}")


TEXT, ZEROS = b"hello " * 100, bytes(10 * MIB)
COMPRESSED = {
    DEFAULT: (TEXT, gzip.compress(TEXT)),
    "10 MiB of zeros": (ZEROS, gzip.compress(ZEROS)),
    "no gzip in it": (b"", b"not gzip"),
}
BODY = readers(lambda request: request.read(), lambda: request.get_data())
AS_SENT = {"auto_decompress=False": COMPRESSED[DEFAULT]}


@experiments("compressed-request-body", BODY, COMPRESSED)
@experiments("compressed-request-body", {AIOHTTP: BODY[AIOHTTP]}, AS_SENT, auto_decompress=False)
def ask_compressed(application: Build, body: tuple[bytes, bytes], **options: Any) -> Answer:
    """body: plain, and as it is sent."""
    plain, sent = body
    data = post("/", "application/octet-stream", sent, "Content-Encoding: gzip")
    got = exchanged(application(), data, **options)
    if got.reply is None or got.reply.status != 200:
        return Answer(got.status, f"{len(sent)} bytes were sent; {got.in_words}")
    kinds = {plain: "decompressed", sent: "still compressed"}
    sizes = f"{len(plain)} bytes sent as {len(sent)}, the handler read {len(got.reply.body)}"
    return Answer(kinds.get(got.reply.body, "something else"), sizes)


async def only_the_small(request: web.Request) -> None:
    """In place of aiohttp's own expect handler."""
    if (request.content_length or 0) > 2**20:
        raise web.HTTPRequestEntityTooLarge(2**20)
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def aiohttp_guarded(request: web.Request) -> web.Response:
    if "Authorization" not in request.headers:
        raise web.HTTPUnauthorized
    return web.Response(body=await scene.aiohttp_length(request))


async def quart_guarded() -> bytes:
    if "Authorization" not in request.headers:
        abort(401)
    return await scene.quart_length()


def aiohttp_expecting(expect_handler: Any = None) -> web.Application:
    return apps.aiohttp_app(web.post("/", aiohttp_guarded, expect_handler=expect_handler))


ALLOWED = "Authorization: x"
EXPECTING = {
    "a route that reads the body": ("/", 3, ALLOWED),
    "a handler that refuses": ("/", 3),
    "no such path": ("/no", 3),
    "more than the body limit": ("/", MOST, ALLOWED),
}

ON_BOTH: Apps = {AIOHTTP: aiohttp_expecting, QUART: partial(scene.quart_reader, quart_guarded)}
OWN = "more than the body limit, expect_handler of one's own"
WITH_OWN = {AIOHTTP: partial(aiohttp_expecting, only_the_small)}


@experiments("expect-100", ON_BOTH, EXPECTING)
@experiments("expect-100", WITH_OWN, {OWN: EXPECTING["more than the body limit"]})
def ask_expecting(application: Build, request: tuple[Any, ...]) -> Answer:
    """Ask, send nothing more, and note what comes.

    request: target, length and headers.
    """
    target, length, *lines = request
    statuses: list[str] = []
    with serve(application()) as server, Wire(server.port) as wire:
        described = (f"Content-Length: {length}", *lines, "Expect: 100-continue")
        wire.send(head("POST", target, *described))
        with suppress(NoAnswer):
            statuses.append(wire.head().split()[1].decode())
            statuses.append(wire.head(1.0).split()[1].decode())
    came = ", then ".join(statuses)
    if not statuses:
        return Answer("nothing", "nothing came, and no body was sent")
    waits = ", then waits" if statuses == ["100"] else ""
    return Answer(f"{came}{waits}", f"before any of the {length} bytes were sent: {came}{waits}")


REFUSED = {"and sends no body": b"", "and sends its body all the same": b"abc"}


@experiments("expect-refused", ON_BOTH, REFUSED)
def ask_refused(application: Build, body: bytes) -> Answer:
    """Ask first, be refused, and send the next request on the same connection."""
    with serve(application()) as server, Wire(server.port) as wire:
        wire.send(head("POST", "/", "Content-Length: 3", "Expect: 100-continue"))
        first = wire.answer()
        try:
            wire.send(body + head("POST", "/", "Content-Length: 0", ALLOWED))
            following = f"{wire.answer(3.0).status}"
        except (NoAnswer, ConnectionError):
            following = "not answered"
        closed = "closes" if wire.closed(0.5) is not None else "stays open"
    words = f"{first.status}, the next is {following}, {closed}"
    return Answer(words, f"{words}; {len(body)} bytes of the body were sent")


async def read_bounded(request: web.Request) -> bytes:
    async with asyncio.timeout(1):
        return await request.read()


async def read_or_408(request: web.Request) -> bytes:
    try:
        return await read_bounded(request)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


MADE_408 = "asyncio.timeout(1), TimeoutError made HTTPRequestTimeout"
BODY_TIMEOUT = partial(scene.quart_reader, BODY_TIMEOUT=1)
stalled = partial(experiment, "stalled-body")


@experiments("stalled-body", BODY, {DEFAULT: LONG_S}, bound_s=80, waits=True)
@stalled(AIOHTTP, "asyncio.timeout(1)", partial(scene.aiohttp_reader, read_bounded))
@stalled(AIOHTTP, MADE_408, partial(scene.aiohttp_reader, read_or_408))
@stalled(QUART, "BODY_TIMEOUT=1", BODY_TIMEOUT)
@stalled(QUART, f"BODY_TIMEOUT=1, {IN_PIECES}", partial(BODY_TIMEOUT, lambda: joined(request.body)))
@stalled(QUART, "Hypercorn's read_timeout=1", BODY[QUART], read_timeout=1)
def ask_stalled(application: Build, patience_s: float = 4.0, **options: Any) -> Answer:
    """Send 5 of 10 bytes, and wait."""
    with serve(application(), **options) as server, Wire(server.port) as wire:
        wire.send(head("POST", "/", "Content-Length: 10") + b"12345")
        try:
            reply = wire.answer(patience_s)
        except NoAnswer as error:
            if "in time" in str(error):
                return Answer(f"nothing for {patience_s:g} s", "no answer, and it stays open")
            return Answer("closes without an answer", str(error))
    evidence = f"{reply.status} came after {reply.took_s:.1f} s"
    return Answer(f"{reply.status} after {reply.took_s:.0f} s", evidence)
