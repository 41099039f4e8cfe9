"""Bodies of requests: how large, compressed, in pieces, asked for first, and never finished."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, abort, request

from loopbench.loadtests.behaviour.applications import aiohttp_app, quart_answering
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments
from loopbench.loadtests.behaviour.parsing import scene
from loopbench.loadtests.behaviour.parsing.scene import exchange, head
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, Apps, Build, serve
from loopbench.loadtests.behaviour.talking import NoAnswer, Seen, Wire

MIB = 2**20
MOST = 32 * MIB
CHUNKED = "Transfer-Encoding: chunked"


async def count(seen: Seen, pieces: AsyncIterable[bytes]) -> str:
    size = 0
    async for piece in pieces:
        size += len(piece)
        seen(f"read {piece[:9].decode()}")
    return f"{size}"


def aiohttp_sizes(seen: Seen, **options: Any) -> web.Application:
    """/whole and /streamed say how many bytes they have read. options: of the Application."""

    async def whole(request: web.Request) -> web.Response:
        seen("called")
        return web.Response(text=f"{len(await request.read())}")

    async def streamed(request: web.Request) -> web.Response:
        return web.Response(text=await count(seen, request.content.iter_any()))

    return aiohttp_app(web.post("/whole", whole), web.post("/streamed", streamed), **options)


def quart_sizes(seen: Seen, **settings: Any) -> Quart:
    """The same. settings: of the application's config."""

    async def whole() -> str:
        seen("called")
        return f"{len(await request.get_data())}"

    async def streamed() -> str:
        return await count(seen, request.body)

    return quart_answering({"/whole": whole, "/streamed": streamed}, **settings)


SIZES: Apps = {AIOHTTP: aiohttp_sizes, QUART: quart_sizes}


def _send(port: int, target: str, size: int, chunked: bool) -> scene.Exchange:
    """POST so many bytes at once; what came back. Raises ValueError for a wrong count."""
    if chunked:
        piece = b"%x\r\n%s\r\n" % (2**16, bytes(2**16))
        rest = b"%x\r\n%s\r\n" % (size % 2**16, bytes(size % 2**16)) if size % 2**16 else b""
        body = size // 2**16 * piece + rest + b"0\r\n\r\n"
        seen = exchange(port, head("POST", target, CHUNKED) + body)
    else:
        seen = exchange(port, head("POST", target, f"Content-Length: {size}") + bytes(size))
    if seen.reply and seen.reply.status == 200 and seen.reply.text != f"{size}":
        raise ValueError(f"{size} bytes were sent, and {seen.reply.text} were read")
    return seen


STREAMED = "read through async for of request.body"

AIOHTTP_4 = partial(aiohttp_sizes, client_max_size=4 * MIB)
QUART_4 = partial(quart_sizes, MAX_CONTENT_LENGTH=4 * MIB)
QUART_NONE = partial(quart_sizes, MAX_CONTENT_LENGTH=None)
limited = partial(experiment, "body-limit")


@limited(AIOHTTP, DEFAULT, aiohttp_sizes)
@limited(AIOHTTP, "chunked", aiohttp_sizes, chunked=True)
@limited(AIOHTTP, "read through request.content", aiohttp_sizes, "/streamed")
@limited(AIOHTTP, "client_max_size=4 * 2**20", AIOHTTP_4)
@limited(AIOHTTP, "client_max_size=0", partial(aiohttp_sizes, client_max_size=0))
@limited(QUART, DEFAULT, quart_sizes)
@limited(QUART, "chunked", quart_sizes, chunked=True)
@limited(QUART, STREAMED, quart_sizes, "/streamed")
@limited(QUART, f"{STREAMED}, chunked", quart_sizes, "/streamed", chunked=True)
@limited(QUART, "MAX_CONTENT_LENGTH=4 * 2**20", QUART_4)
@limited(QUART, "MAX_CONTENT_LENGTH=None", QUART_NONE)
def ask_limit(application: Build, target: str = "/whole", chunked: bool = False) -> Answer:
    """Double the size until it is refused, then try one byte more than what last went through."""
    with serve(application(Seen())) as server:
        size = MIB
        while (seen := _send(server.port, target, size, chunked)).words == "200, stays open":
            if size == MOST:
                return Answer("no limit up to 32 MiB", f"{MOST} bytes were read whole")
            size *= 2
        fits = size // 2
        more = _send(server.port, target, fits + 1, chunked)
    limit = f"{fits // MIB} MiB"
    # Without a length the server has read as much as it had to, which may be all.
    found, said = (one.status if chunked else one.words for one in (seen, more))
    if found != said:
        limit = f"between {limit} and {size // MIB} MiB"
    return Answer(
        f"{limit}, beyond {found}",
        f"{fits} bytes were read; of {fits + 1}: {more.words}; of {size}: {seen.words}",
    )


@experiments("chunked-request", SIZES, {"when it is called": "/whole"}, "called")
@experiments("chunked-request", SIZES, {"read piece by piece": "/streamed"}, "read abc")
def ask_pieces(application: Build, target: str, event: str) -> Answer:
    """Send one piece, see what has happened, and send the rest."""
    seen = Seen()
    with serve(application(seen)) as server, Wire(server.port) as wire:
        wire.send(head("POST", target, CHUNKED) + b"3\r\nabc\r\n")
        early = seen.wait(event, 3.0)
        wire.send(b"3\r\ndef\r\n0\r\n\r\n")
        reply = wire.answer()
    when = "before" if early else "after"
    whole = "whole" if reply.text == "6" else f"as {reply.text!r}"
    return Answer(
        f"{when} the rest was sent",
        f"{', '.join(seen.events)}; {reply.status}, and the body was read {whole}",
    )


TEXT, ZEROS = b"hello " * 100, bytes(10 * MIB)
COMPRESSED = {
    DEFAULT: (TEXT, gzip.compress(TEXT)),
    "10 MiB of zeros": (ZEROS, gzip.compress(ZEROS)),
    "no gzip in it": (b"", b"not gzip"),
}
BODY = scene.readers(lambda request: request.read(), lambda: request.get_data())
AS_SENT = {"auto_decompress=False": COMPRESSED[DEFAULT]}


@experiments("compressed-request-body", BODY, COMPRESSED)
@experiments("compressed-request-body", {AIOHTTP: BODY[AIOHTTP]}, AS_SENT, auto_decompress=False)
def ask_compressed(application: Build, body: tuple[bytes, bytes], **options: Any) -> Answer:
    """body: plain, and as it is sent."""
    plain, sent = body
    data = scene.post("/", "application/octet-stream", sent, "Content-Encoding: gzip")
    seen = scene.exchanged(application(), data, **options)
    if seen.reply is None or seen.reply.status != 200:
        return Answer(seen.status, f"{len(sent)} bytes were sent; {seen.told}")
    kinds = {plain: "decompressed", sent: "still compressed"}
    sizes = f"{len(plain)} bytes sent as {len(sent)}, the handler read {len(seen.reply.body)}"
    return Answer(kinds.get(seen.reply.body, "something else"), sizes)


async def only_the_small(request: web.Request) -> None:
    """In place of aiohttp's own expect handler."""
    if (request.content_length or 0) > 2**20:
        raise web.HTTPRequestEntityTooLarge(2**20)
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def aiohttp_expecting(expect_handler: Any = None) -> web.Application:
    async def handler(request: web.Request) -> web.Response:
        if "Authorization" not in request.headers:
            raise web.HTTPUnauthorized
        return web.Response(text=f"{len(await request.read())}")

    return aiohttp_app(web.post("/", handler, expect_handler=expect_handler))


async def quart_expecting() -> bytes:
    if "Authorization" not in request.headers:
        abort(401)
    return await scene.quart_length()


ALLOWED = "Authorization: x"
EXPECTING = {
    "a route that reads the body": ("/", 3, ALLOWED),
    "a handler that refuses": ("/", 3),
    "no such path": ("/no", 3),
    "more than the body limit": ("/", MOST, ALLOWED),
}

ON_BOTH: Apps = {AIOHTTP: aiohttp_expecting, QUART: partial(scene.quart_reader, quart_expecting)}
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
        try:
            statuses.append(wire.head().split()[1].decode())
            statuses.append(wire.head(1.0).split()[1].decode())
        except NoAnswer:
            pass
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


LONG_S = 65.0


def aiohttp_patient(timeout: float | None = None, caught: bool = False) -> web.Application:
    async def read(request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await request.read()
        except TimeoutError:
            if caught:
                raise web.HTTPRequestTimeout from None
            raise

    return scene.aiohttp_reader(read)


def quart_patient(streamed: bool = False, **config: float) -> Quart:
    async def read() -> bytes:
        if streamed:
            return b"".join([piece async for piece in request.body])
        return await request.data

    return scene.quart_reader(read, **config)


MADE_408 = "asyncio.timeout(1), TimeoutError made HTTPRequestTimeout"
CAUGHT = partial(aiohttp_patient, 1, caught=True)
BODY_TIMEOUT = partial(quart_patient, BODY_TIMEOUT=1)
stalled = partial(experiment, "stalled-body")


@stalled(AIOHTTP, DEFAULT, aiohttp_patient, LONG_S, bound_s=80, waits=True)
@stalled(QUART, DEFAULT, quart_patient, LONG_S, bound_s=80, waits=True)
@stalled(AIOHTTP, "asyncio.timeout(1)", partial(aiohttp_patient, 1))
@stalled(AIOHTTP, MADE_408, CAUGHT)
@stalled(QUART, "BODY_TIMEOUT=1", BODY_TIMEOUT)
@stalled(QUART, f"BODY_TIMEOUT=1, {STREAMED}", partial(BODY_TIMEOUT, streamed=True))
@stalled(QUART, "Hypercorn's read_timeout=1", quart_patient, read_timeout=1)
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
    return Answer(
        f"{reply.status} after {reply.took_s:.0f} s",
        f"{reply.status} came after {reply.took_s:.1f} s",
    )
