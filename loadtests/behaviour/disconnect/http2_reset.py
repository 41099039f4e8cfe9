"""One of two streams of an HTTP/2 connection, when the client resets it."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, StreamEnded
from quart import Quart

from loopbench.loadtests.behaviour.disconnect.leaving import ENDED_S
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import NONE, Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server

SETTING = "RST_STREAM, in the clear"
RESET, OTHER = 1, 3
"""Numbers of the two streams."""


def _asked() -> H2Connection:
    """A client that has asked for both."""
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    for stream, path in ((RESET, "/reset"), (OTHER, "/other")):
        headers = [(":method", "GET"), (":path", path)]
        headers += [(":scheme", "http"), (":authority", "localhost")]
        client.send_headers(stream, headers, end_stream=True)
    return client


def _body(wire: Wire, client: H2Connection, stream: int) -> str:
    """What is answered on that stream. Raises NoAnswer."""
    body, until = b"", time.monotonic() + ENDED_S
    while time.monotonic() < until:
        received = wire.some()
        if not received:
            break
        for event in client.receive_data(received):
            if isinstance(event, DataReceived) and event.stream_id == stream:
                body += event.data or b""
            if isinstance(event, StreamEnded) and event.stream_id == stream:
                return body.decode()
    raise NoAnswer(f"stream {stream} was not answered")


def on_quart() -> Answer:
    app, seen = Quart(__name__), Seen()

    @app.get("/<name>")
    async def handler(name: str) -> str:
        seen(f"{name} begun")
        try:
            await asyncio.sleep(0.3)
            seen(f"{name} finished")
        except asyncio.CancelledError:
            seen(f"{name} cancelled")
            raise
        finally:
            seen(f"{name} over")
        return name

    client = _asked()
    with hypercorn_server(app) as server, Wire(server.port) as wire:
        wire.send(client.data_to_send())
        if not (seen.wait("reset begun") and seen.wait("other begun")):
            raise TimeoutError("the handlers were never begun")
        client.reset_stream(RESET, ErrorCodes.CANCEL)
        wire.send(client.data_to_send())
        other = _body(wire, client, OTHER)
        if not seen.wait("reset over"):
            raise TimeoutError("the handler of the stream that was reset never ended")
    reset = "cancelled" if "reset cancelled" in seen else "finished"
    rest = "finished and answered" if "other finished" in seen else "cancelled"
    return Answer(
        f"handler {reset}, the other {rest}",
        f"{', '.join(seen.events)}; the other stream got {other!r}",
    )


def on_aiohttp() -> Answer:
    with aiohttp_server(web.Application()) as server, Wire(server.port) as wire:
        wire.send(_asked().data_to_send())
        line = wire.some().split(b"\r\n")[0].decode()
    if not line.startswith("HTTP/1"):
        raise ValueError(f"{line!r} is not HTTP/1")
    return Answer(
        NONE, f"it answers {line!r} to HTTP/2; the nearest thing is a connection that is reset"
    )


QUESTION = Question(
    asks="Is a handler cancelled when its stream of HTTP/2 is reset, and are the others spared?",
    experiments=(
        Experiment("aiohttp", SETTING, on_aiohttp),
        Experiment("quart-hypercorn", SETTING, on_quart),
    ),
    follows={
        "handler cancelled, the other finished*": "One request of many on a connection can be "
        "given up: browsers do so whenever a page is left.",
        "none": "A proxy that speaks HTTP/2 to clients closes its own connection instead, if it "
        "does anything.",
    },
)
