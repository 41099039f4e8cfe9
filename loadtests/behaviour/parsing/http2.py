"""HTTP/2 without TLS, and several requests that one connection sends together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments
from loopbench.loadtests.behaviour.framework import http2_client
from loopbench.loadtests.behaviour.parsing.scene import PLAIN, head
from loopbench.loadtests.behaviour.serving import AIOHTTP, ANSWERING, QUART, Build, Work, serve
from loopbench.loadtests.behaviour.talking import Seen, Wire


def _converse(wire: Wire, client: http2_client.Client, received: bytes) -> Answer:
    ((status, body),) = http2_client.finish(wire, client, 1, received)
    return Answer(f"{status} over HTTP/2", f"status {status} and {body!r} on stream 1")


def _not_spoken(first: bytes) -> Answer:
    line = first.split(b"\r\n")[0].decode()
    return Answer(f"{line.split()[1]} over HTTP/1", f"the answer began {line!r}")


@experiments("http2-cleartext", PLAIN, ("prior knowledge",))
def ask_knowing(application: Build, _: str) -> Answer:
    client = http2_client.connected()
    http2_client.ask(client, "/")
    with serve(application()) as server, Wire(server.port) as wire:
        wire.send(client.data_to_send())
        received = wire.some()
        if received.startswith(b"HTTP/1"):
            return _not_spoken(received)
        return _converse(wire, client, received)


@experiments("http2-cleartext", PLAIN, ("Upgrade: h2c",))
def ask_upgrade(application: Build, upgrade: str) -> Answer:
    client = http2_client.upgrading()
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


def slow_and_fast(seen: Seen) -> dict[str, Work]:
    async def slow() -> str:
        seen("slow began")
        await asyncio.sleep(SLOW_S)
        seen("slow ended")
        return "slow"

    async def fast() -> str:
        seen("fast began")
        return "fast"

    return {"/slow": slow, "/fast": fast}


TARGETS = ("/slow", "/fast")


@experiments("pipelining", ANSWERING, (), http2_client.pipelined)
@experiment("pipelining", QUART, "two streams of HTTP/2", ANSWERING[QUART], http2_client.in_streams)
def ask_together(application: Build, talk: Callable[[Wire, Sequence[str]], list[str]]) -> Answer:
    """Two requests at once on one connection."""
    seen = Seen()
    with serve(application(slow_and_fast(seen))) as server, Wire(server.port) as wire:
        order = talk(wire, TARGETS)
    answered = "in order" if order == ["slow", "fast"] else "out of order"
    one_by_one = seen.events.index("fast began") > seen.events.index("slow ended")
    handled = "one after the other" if one_by_one else "at once"
    return Answer(
        f"answered {answered}, handled {handled}",
        f"{', '.join(seen.events)}; the answers were {' and '.join(order)}",
    )


CANCELS = "handler_cancellation=True"


@experiments("pipelined-leaving", ANSWERING)
@experiment("pipelined-leaving", AIOHTTP, CANCELS, ANSWERING[AIOHTTP], handler_cancellation=True)
def ask_pipelined_leaving(application: Build, **options: bool) -> Answer:
    """Send two requests, leave while the first is handled, and see what becomes of both."""
    seen = Seen()
    with serve(application(slow_and_fast(seen)), **options) as server:
        with Wire(server.port) as wire:
            wire.send(head("GET", "/slow") + head("GET", "/fast"))
            seen.wait("slow began")
        seen.wait("fast began", 2 * SLOW_S)
    slow = "finished" if "slow ended" in seen else "cancelled"
    fast = "handled" if "fast began" in seen else "not handled"
    return Answer(f"the first is {slow}, the second {fast}", f"in order: {', '.join(seen.events)}")
