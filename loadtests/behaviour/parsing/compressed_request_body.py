"""A request body that the client has compressed."""

from __future__ import annotations

import gzip
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
from loopbench.loadtests.behaviour.parsing.exchanging import exchange, post

TEXT = b"hello " * 100
BOMB = gzip.compress(bytes(10 * 2**20))


def on_aiohttp(**options: Any) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application()
    app.router.add_post("/", handler)
    return aiohttp_server(app, **options)


def on_quart() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> bytes:
        return await request.data

    return hypercorn_server(app)


def ask(server: AbstractContextManager[Live], plain: bytes, sent: bytes) -> Answer:
    with server as live:
        data = post("/", "application/octet-stream", sent, "Content-Encoding: gzip")
        seen = exchange(live.port, data)
    if seen.reply is None or seen.reply.status != 200:
        return Answer(seen.words.split(",")[0], f"{len(sent)} bytes were sent; {seen.told}")
    kinds = {plain: "decompressed", sent: "still compressed"}
    sizes = f"{len(plain)} bytes sent as {len(sent)}, the handler read {len(seen.reply.body)}"
    return Answer(kinds.get(seen.reply.body, "something else"), sizes)


def ask_aiohttp(plain: bytes = TEXT, sent: bytes = gzip.compress(TEXT), **options: Any) -> Answer:
    return ask(on_aiohttp(**options), plain, sent)


def ask_quart(plain: bytes = TEXT, sent: bytes = gzip.compress(TEXT)) -> Answer:
    return ask(on_quart(), plain, sent)


QUESTION = Question(
    asks="Does the handler read a compressed request body decompressed?",
    experiments=(
        Experiment("aiohttp", DEFAULT, ask_aiohttp),
        Experiment("aiohttp", "auto_decompress=False", partial(ask_aiohttp, auto_decompress=False)),
        Experiment(
            "aiohttp", "10 MiB of zeros", partial(ask_aiohttp, plain=bytes(10 * 2**20), sent=BOMB)
        ),
        Experiment("aiohttp", "no gzip in it", partial(ask_aiohttp, b"", b"not gzip")),
        Experiment("quart-hypercorn", DEFAULT, ask_quart),
        Experiment(
            "quart-hypercorn",
            "10 MiB of zeros",
            partial(ask_quart, plain=bytes(10 * 2**20), sent=BOMB),
        ),
        Experiment("quart-hypercorn", "no gzip in it", partial(ask_quart, b"", b"not gzip")),
    ),
    claims=(
        Claim(
            "The framework decompresses request bodies.",
            {"decompressed": Agrees.YES, "still compressed": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "still compressed": "Decompress it yourself, bounded (`zlib.decompressobj` with "
        "max_length): a few kilobytes can become gigabytes.",
        "413": "The limit of the body counts what it becomes, not what was sent.",
    },
)
