"""How large a body may be, and what happens to one that is larger."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import Exchange, exchange, head

MIB = 2**20
MOST = 32 * MIB


def on_aiohttp(streamed: bool, **options: Any) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        if streamed:
            size = 0
            async for piece in request.content.iter_any():
                size += len(piece)
        else:
            size = len(await request.read())
        return web.Response(text=f"{size}")

    app = web.Application(**options)
    app.router.add_post("/", handler)
    return aiohttp_server(app)


def on_quart(streamed: bool, **settings: Any) -> AbstractContextManager[Live]:
    app = Quart(__name__)
    app.config.update(settings)

    @app.post("/")
    async def handler() -> str:
        if not streamed:
            return f"{len(await request.get_data())}"
        size = 0
        async for piece in request.body:
            size += len(piece)
        return f"{size}"

    return hypercorn_server(app)


def send(port: int, size: int, chunked: bool) -> Exchange:
    """POST so many bytes at once; what came back. Raises ValueError for a wrong count."""
    if chunked:
        piece = b"%x\r\n%s\r\n" % (2**16, bytes(2**16))
        rest = b"%x\r\n%s\r\n" % (size % 2**16, bytes(size % 2**16)) if size % 2**16 else b""
        body = size // 2**16 * piece + rest + b"0\r\n\r\n"
        seen = exchange(port, head("POST", "/", "Transfer-Encoding: chunked") + body)
    else:
        seen = exchange(port, head("POST", "/", f"Content-Length: {size}") + bytes(size))
    if seen.reply and seen.reply.status == 200 and seen.reply.text != f"{size}":
        raise ValueError(f"{size} bytes were sent, and {seen.reply.text} were read")
    return seen


def ask(server: AbstractContextManager[Live], chunked: bool = False) -> Answer:
    """Double the size until it is refused, then try one byte more than what last went through."""
    with server as live:
        size = MIB
        while (seen := send(live.port, size, chunked)).words == "200, stays open":
            if size == MOST:
                return Answer("no limit up to 32 MiB", f"{MOST} bytes were read whole")
            size *= 2
        fits = size // 2
        more = send(live.port, fits + 1, chunked)
    limit = f"{fits // MIB} MiB"
    # Without a length the server has read as much as it had to, which may be all.
    found, said = (one.words.split(",")[0] if chunked else one.words for one in (seen, more))
    if found != said:
        limit = f"between {limit} and {size // MIB} MiB"
    return Answer(
        f"{limit}, beyond {found}",
        f"{fits} bytes were read; of {fits + 1}: {more.words}; of {size}: {seen.words}",
    )


def ask_aiohttp(chunked: bool = False, streamed: bool = False, **options: Any) -> Answer:
    return ask(on_aiohttp(streamed, **options), chunked)


def ask_quart(chunked: bool = False, streamed: bool = False, **settings: Any) -> Answer:
    return ask(on_quart(streamed, **settings), chunked)


STREAMED_AIOHTTP = "read through request.content"
STREAMED_QUART = "read through async for of request.body"

QUESTION = Question(
    asks="How large may a request's body be?",
    experiments=(
        Experiment("aiohttp", DEFAULT, ask_aiohttp),
        Experiment("aiohttp", "chunked", partial(ask_aiohttp, chunked=True)),
        Experiment("aiohttp", STREAMED_AIOHTTP, partial(ask_aiohttp, streamed=True)),
        Experiment(
            "aiohttp", "client_max_size=4 * 2**20", partial(ask_aiohttp, client_max_size=4 * MIB)
        ),
        Experiment("aiohttp", "client_max_size=0", partial(ask_aiohttp, client_max_size=0)),
        Experiment("quart-hypercorn", DEFAULT, ask_quart),
        Experiment("quart-hypercorn", "chunked", partial(ask_quart, chunked=True)),
        Experiment("quart-hypercorn", STREAMED_QUART, partial(ask_quart, streamed=True)),
        Experiment(
            "quart-hypercorn",
            f"{STREAMED_QUART}, chunked",
            partial(ask_quart, streamed=True, chunked=True),
        ),
        Experiment(
            "quart-hypercorn",
            "MAX_CONTENT_LENGTH=4 * 2**20",
            partial(ask_quart, MAX_CONTENT_LENGTH=4 * MIB),
        ),
        Experiment(
            "quart-hypercorn",
            "MAX_CONTENT_LENGTH=None",
            partial(ask_quart, MAX_CONTENT_LENGTH=None),
        ),
    ),
    claims=(
        Claim(
            "`client_max_size` bounds every request's body.",
            {"no limit*": Agrees.NO, "*": Agrees.YES},
            ("aiohttp",),
        ),
    ),
    follows={
        "no limit*": "Nothing bounds what a client sends here: count while you read, or let a "
        "proxy bound it.",
        "*then closes": "The server answers before it has read the body and closes; a client "
        "that is still sending may see a reset in place of the 413.",
        "*stays open": "The rest of the body is read and thrown away, for up to `lingering_time`, "
        "so that a client that is still sending sees the 413.",
    },
)
