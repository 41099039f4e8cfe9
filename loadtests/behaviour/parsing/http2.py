"""HTTP/2 without TLS, and several requests that one connection sends together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.experiment import experiment, experiments
from loopbench.loadtests.behaviour.framework.http2_client import (
    Client,
    answers,
    ask,
    connected,
    finish,
    upgrading,
)
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import App, serve
from loopbench.loadtests.behaviour.parsing.scene import PLAIN, head


def _converse(wire: Wire, client: Client, received: bytes) -> Answer:
    ((status, body),) = finish(wire, client, 1, received)
    return Answer(f"{status} over HTTP/2", f"status {status} and {body!r} on stream 1")


def _not_spoken(first: bytes) -> Answer:
    line = first.split(b"\r\n")[0].decode()
    return Answer(f"{line.split()[1]} over HTTP/1", f"the answer began {line!r}")


@experiments("http2-cleartext", PLAIN, ("prior knowledge",))
def ask_knowing(application: Callable[[], App], _: str) -> Answer:
    client = connected()
    ask(client, "/")
    with serve(application()) as server, Wire(server.port) as wire:
        wire.send(client.data_to_send())
        received = wire.some()
        if received.startswith(b"HTTP/1"):
            return _not_spoken(received)
        return _converse(wire, client, received)


@experiments("http2-cleartext", PLAIN, ("Upgrade: h2c",))
def ask_upgrade(application: Callable[[], App], upgrade: str) -> Answer:
    client = upgrading()
    settings = client.initiate_upgrade_connection() or b""
    lines = ("Connection: Upgrade, HTTP2-Settings", upgrade)
    with serve(application()) as server, Wire(server.port) as wire:
        wire.send(head("GET", "/", *lines, f"HTTP2-Settings: {settings.decode()}"))
        first = wire.head()
        if first.split()[1] != b"101":
            return _not_spoken(first)
        wire.send(client.data_to_send())
        return _converse(wire, client, wire.some())


SLOW_S = 0.5


def aiohttp_slow_and_fast(seen: Seen) -> web.Application:
    async def slow(_: web.Request) -> web.Response:
        seen("slow began")
        await asyncio.sleep(SLOW_S)
        seen("slow ended")
        return web.Response(text="slow")

    async def fast(_: web.Request) -> web.Response:
        seen("fast began")
        return web.Response(text="fast")

    app = web.Application()
    app.add_routes([web.get("/slow", slow), web.get("/fast", fast)])
    return app


def quart_slow_and_fast(seen: Seen) -> Quart:
    app = Quart(__name__)

    @app.get("/slow")
    async def slow() -> str:
        seen("slow began")
        await asyncio.sleep(SLOW_S)
        seen("slow ended")
        return "slow"

    @app.get("/fast")
    async def fast() -> str:
        seen("fast began")
        return "fast"

    return app


def _order(seen: Seen, order: list[str]) -> Answer:
    answered = "in order" if order == ["slow", "fast"] else "out of order"
    one_by_one = seen.events.index("fast began") > seen.events.index("slow ended")
    handled = "one after the other" if one_by_one else "at once"
    return Answer(
        f"answered {answered}, handled {handled}",
        f"{', '.join(seen.events)}; the answers were {' and '.join(order)}",
    )


@experiments(
    "pipelining", {"aiohttp": aiohttp_slow_and_fast, "quart-hypercorn": quart_slow_and_fast}
)
def ask_pipelined(application: Callable[[Seen], App]) -> Answer:
    seen = Seen()
    with serve(application(seen)) as server, Wire(server.port) as wire:
        wire.send(head("GET", "/slow") + head("GET", "/fast"))
        order = [wire.answer().text, wire.answer().text]
    return _order(seen, order)


@experiment("pipelining", "quart-hypercorn", "two streams of HTTP/2")
def ask_streams() -> Answer:
    """The same two requests as two streams of one HTTP/2 connection."""
    seen = Seen()
    with serve(quart_slow_and_fast(seen)) as server, Wire(server.port) as wire:
        order = [body.decode() for _, body in answers(wire, connected(), ("/slow", "/fast"))]
    return _order(seen, order)


SLOW_AND_FAST = {"aiohttp": aiohttp_slow_and_fast, "quart-hypercorn": quart_slow_and_fast}


@experiments("pipelined-leaving", SLOW_AND_FAST)
@experiment(
    "pipelined-leaving",
    "aiohttp",
    "handler_cancellation=True",
    aiohttp_slow_and_fast,
    handler_cancellation=True,
)
def ask_pipelined_leaving(application: Callable[[Seen], App], **options: bool) -> Answer:
    """Send two requests, leave while the first is handled, and see what becomes of both."""
    seen = Seen()
    with serve(application(seen), **options) as server:
        with Wire(server.port) as wire:
            wire.send(head("GET", "/slow") + head("GET", "/fast"))
            seen.wait("slow began")
        seen.wait("fast began", 2 * SLOW_S)
    slow = "finished" if "slow ended" in seen else "cancelled"
    fast = "handled" if "fast began" in seen else "not handled"
    return Answer(f"the first is {slow}, the second {fast}", f"in order: {', '.join(seen.events)}")
