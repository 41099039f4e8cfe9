"""`Expect: 100-continue`: a client that asks before it sends a large body, as curl does."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart, abort, request

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import Serve, head


async def only_the_small(request: web.Request) -> None:
    """In place of aiohttp's own expect handler."""
    if (request.content_length or 0) > 2**20:
        raise web.HTTPRequestEntityTooLarge(2**20)
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def on_aiohttp(refusing: bool = False) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        if "Authorization" not in request.headers:
            raise web.HTTPUnauthorized
        return web.Response(text=f"{len(await request.read())}")

    app = web.Application()
    app.router.add_post("/", handler, expect_handler=only_the_small if refusing else None)
    return aiohttp_server(app)


def on_quart() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> str:
        if "Authorization" not in request.headers:
            abort(401)
        return f"{len(await request.get_data())}"

    return hypercorn_server(app)


def ask(server: AbstractContextManager[Live], target: str, length: int, *lines: str) -> Answer:
    """Ask, send nothing more, and note what comes; the body only where 100 came alone."""
    statuses: list[str] = []
    with server as live, Wire(live.port) as wire:
        wire.send(head("POST", target, f"Content-Length: {length}", *lines, EXPECT))
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


def _asked(which: str, target: str, length: int, lines: tuple[str, ...]) -> Answer:
    return ask(SERVERS[which](), target, length, *lines)


SERVERS: Mapping[str, Serve] = {
    "aiohttp": on_aiohttp,
    "quart-hypercorn": on_quart,
    "refusing": partial(on_aiohttp, refusing=True),
}
EXPECT = "Expect: 100-continue"
ALLOWED = "Authorization: x"
LARGE = 32 * 2**20
CASES: Mapping[str, tuple[str, int, tuple[str, ...]]] = {
    "a route that reads the body": ("/", 3, (ALLOWED,)),
    "a handler that refuses": ("/", 3, ()),
    "no such path": ("/no", 3, ()),
    "more than the body limit": ("/", LARGE, (ALLOWED,)),
}

QUESTION = Question(
    asks="What does a client get that asks with Expect: 100-continue?",
    experiments=(
        *(
            Experiment(stack, setting, partial(_asked, stack, *case))
            for setting, case in CASES.items()
            for stack in ("aiohttp", "quart-hypercorn")
        ),
        Experiment(
            "aiohttp",
            "more than the body limit, expect_handler of one's own",
            partial(_asked, "refusing", "/", LARGE, (ALLOWED,)),
        ),
    ),
    claims=(
        Claim(
            "A client that asks first is spared the sending of what will be refused.",
            {"100, then 4*": Agrees.NO, "4*": Agrees.YES},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "100, then 4*": "100 is sent before the application is asked: the client sends its body "
        "for nothing, or has the refusal in the middle of it.",
        "4*": "Nothing of the body is sent.",
    },
)
