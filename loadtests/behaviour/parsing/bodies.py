"""Bodies of requests: how large, compressed, in pieces, asked for first, and never finished."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, abort, request

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.experiment import experiment, experiments, variants
from loopbench.loadtests.behaviour.framework.question import DEFAULT, Answer
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire
from loopbench.loadtests.behaviour.framework.servers import App, serve
from loopbench.loadtests.behaviour.parsing.scene import (
    Exchange,
    aiohttp_reader,
    exchange,
    head,
    post,
    quart_reader,
    readers,
)

MIB = 2**20
MOST = 32 * MIB
CHUNKED = "Transfer-Encoding: chunked"


def aiohttp_sizes(**options: Any) -> web.Application:
    """/whole and /streamed say how many bytes they have read. options: of the Application."""

    async def whole(request: web.Request) -> web.Response:
        return web.Response(text=f"{len(await request.read())}")

    async def streamed(request: web.Request) -> web.Response:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
        return web.Response(text=f"{size}")

    app = web.Application(**options)
    app.add_routes([web.post("/whole", whole), web.post("/streamed", streamed)])
    app.router.add_get("/", whole)  # for what follows on the same connection
    return app


def quart_sizes(**settings: Any) -> Quart:
    """The same. settings: of the application's config."""
    app = Quart(__name__)
    app.config.update(settings)

    @app.get("/")
    @app.post("/whole")
    async def whole() -> str:
        return f"{len(await request.get_data())}"

    @app.post("/streamed")
    async def streamed() -> str:
        size = 0
        async for piece in request.body:
            size += len(piece)
        return f"{size}"

    return app


def _send(port: int, target: str, size: int, chunked: bool) -> Exchange:
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


@experiment("body-limit", "aiohttp", DEFAULT, aiohttp_sizes)
@experiment("body-limit", "aiohttp", "chunked", aiohttp_sizes, chunked=True)
@experiment("body-limit", "aiohttp", "read through request.content", aiohttp_sizes, "/streamed")
@experiment(
    "body-limit",
    "aiohttp",
    "client_max_size=4 * 2**20",
    partial(aiohttp_sizes, client_max_size=4 * MIB),
)
@experiment("body-limit", "aiohttp", "client_max_size=0", partial(aiohttp_sizes, client_max_size=0))
@experiment("body-limit", "quart-hypercorn", DEFAULT, quart_sizes)
@experiment("body-limit", "quart-hypercorn", "chunked", quart_sizes, chunked=True)
@experiment("body-limit", "quart-hypercorn", STREAMED, quart_sizes, "/streamed")
@experiment(
    "body-limit", "quart-hypercorn", f"{STREAMED}, chunked", quart_sizes, "/streamed", chunked=True
)
@experiment(
    "body-limit",
    "quart-hypercorn",
    "MAX_CONTENT_LENGTH=4 * 2**20",
    partial(quart_sizes, MAX_CONTENT_LENGTH=4 * MIB),
)
@experiment(
    "body-limit",
    "quart-hypercorn",
    "MAX_CONTENT_LENGTH=None",
    partial(quart_sizes, MAX_CONTENT_LENGTH=None),
)
def ask_limit(
    application: Callable[[], App], target: str = "/whole", chunked: bool = False
) -> Answer:
    """Double the size until it is refused, then try one byte more than what last went through."""
    with serve(application()) as server:
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


def aiohttp_pieces(seen: Seen) -> web.Application:
    async def whole(request: web.Request) -> web.Response:
        seen("called")
        return web.Response(body=await request.read())

    async def streamed(request: web.Request) -> web.Response:
        body = b""
        async for piece in request.content.iter_any():
            body += piece
            seen(f"read {piece.decode()}")
        return web.Response(body=body)

    app = web.Application()
    app.add_routes([web.post("/whole", whole), web.post("/streamed", streamed)])
    return app


def quart_pieces(seen: Seen) -> Quart:
    app = Quart(__name__)

    @app.post("/whole")
    async def whole() -> bytes:
        seen("called")
        return await request.data

    @app.post("/streamed")
    async def streamed() -> bytes:
        body = b""
        async for piece in request.body:
            body += piece
            seen(f"read {piece.decode()}")
        return body

    return app


PIECES: dict[str, Callable[[Seen], App]] = {
    "aiohttp": aiohttp_pieces,
    "quart-hypercorn": quart_pieces,
}


@experiments("chunked-request", PIECES, {"when it is called": "/whole"}, "called")
@experiments("chunked-request", PIECES, {"read piece by piece": "/streamed"}, "read abc")
def ask_pieces(application: Callable[[Seen], App], target: str, event: str) -> Answer:
    """Send one piece, see what has happened, and send the rest."""
    seen = Seen()
    with serve(application(seen)) as server, Wire(server.port) as wire:
        wire.send(head("POST", target, CHUNKED) + b"3\r\nabc\r\n")
        early = seen.wait(event, 3.0)
        wire.send(b"3\r\ndef\r\n0\r\n\r\n")
        reply = wire.answer()
    when = "before" if early else "after"
    whole = "whole" if reply.text == "abcdef" else f"as {reply.text!r}"
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
BODY = readers(lambda request: request.read(), lambda: request.get_data())


@experiments("compressed-request-body", BODY, COMPRESSED)
@experiment(
    "compressed-request-body",
    "aiohttp",
    "auto_decompress=False",
    BODY["aiohttp"],
    COMPRESSED[DEFAULT],
    auto_decompress=False,
)
def ask_compressed(
    application: Callable[[], App], body: tuple[bytes, bytes], **options: Any
) -> Answer:
    """body: plain, and as it is sent."""
    plain, sent = body
    with serve(application(), **options) as server:
        data = post("/", "application/octet-stream", sent, "Content-Encoding: gzip")
        seen = exchange(server.port, data)
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

    app = web.Application()
    app.router.add_post("/", handler, expect_handler=expect_handler)
    return app


def quart_expecting() -> Quart:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> str:
        if "Authorization" not in request.headers:
            abort(401)
        return f"{len(await request.get_data())}"

    return app


ALLOWED = "Authorization: x"
EXPECTING = {
    "a route that reads the body": ("/", 3, ALLOWED),
    "a handler that refuses": ("/", 3),
    "no such path": ("/no", 3),
    "more than the body limit": ("/", MOST, ALLOWED),
}


@experiments(
    "expect-100", {"aiohttp": aiohttp_expecting, "quart-hypercorn": quart_expecting}, EXPECTING
)
@experiment(
    "expect-100",
    "aiohttp",
    "more than the body limit, expect_handler of one's own",
    partial(aiohttp_expecting, only_the_small),
    ("/", MOST, ALLOWED),
)
def ask_expecting(application: Callable[[], App], request: tuple[Any, ...]) -> Answer:
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


REFUSED = {
    "and sends no body": b"",
    "and sends its body all the same": b"abc",
}


@experiments(
    "expect-refused", {"aiohttp": aiohttp_expecting, "quart-hypercorn": quart_expecting}, REFUSED
)
def ask_refused(application: Callable[[], App], body: bytes) -> Answer:
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

    return aiohttp_reader(read)


def quart_patient(streamed: bool = False, **config: float) -> Quart:
    async def read() -> bytes:
        if streamed:
            return b"".join([piece async for piece in request.body])
        return await request.data

    app = quart_reader(read)
    app.config.update(config)
    return app


@variants(
    "stalled-body",
    {"aiohttp": {DEFAULT: aiohttp_patient}, "quart-hypercorn": {DEFAULT: quart_patient}},
    LONG_S,
    bound_s=80,
)
@variants(
    "stalled-body",
    {
        "aiohttp": {
            "asyncio.timeout(1)": partial(aiohttp_patient, 1),
            "asyncio.timeout(1), TimeoutError made HTTPRequestTimeout": partial(
                aiohttp_patient, 1, caught=True
            ),
        },
        "quart-hypercorn": {
            "BODY_TIMEOUT=1": partial(quart_patient, BODY_TIMEOUT=1),
            f"BODY_TIMEOUT=1, {STREAMED}": partial(quart_patient, streamed=True, BODY_TIMEOUT=1),
        },
    },
)
@experiment(
    "stalled-body", "quart-hypercorn", "Hypercorn's read_timeout=1", quart_patient, read_timeout=1
)
def ask_stalled(application: Callable[[], App], patience_s: float = 4.0, **options: Any) -> Answer:
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
