"""How leaving shows: to the handler, on a half-closed connection, over HTTP/2, in the log."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from aiohttp import web
from h2.errors import ErrorCodes
from quart import Quart, request

from loopbench.loadtests.behaviour.applications import answering, each, hello, quart_answering
from loopbench.loadtests.behaviour.asking import DEFAULT, NONE, Answer, experiment
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.disconnect import saving as saves
from loopbench.loadtests.behaviour.disconnect.leaving import Begin, judged, serving
from loopbench.loadtests.behaviour.framework import http2_client
from loopbench.loadtests.behaviour.framework.experiment import together
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, serve
from loopbench.loadtests.behaviour.talking import Leaving, Seen, Wire, get

CHECKS = 100
BETWEEN_S = 0.02


async def look(gone: Callable[[], bool], seen: Seen) -> str:
    """Ask again and again whether the client has left."""
    seen("begun")
    with scene.handling(seen):
        for _ in range(CHECKS):
            if gone():
                seen("noticed")
                break
            seen("checked")
            await asyncio.sleep(BETWEEN_S)
    return "done"


def aiohttp_transport(seen: Seen) -> web.Application:
    """request.transport is None once the connection is lost."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=await look(lambda: request.transport is None, seen))

    return answering(handler)


async def until_cancelled(seen: Seen) -> None:
    """Without asking: wait, and see whether one is told."""
    seen("begun")
    try:
        await asyncio.sleep(0.3)
    except asyncio.CancelledError:
        seen("noticed")
        raise


def quart_told(seen: Seen) -> Quart:
    async def handler() -> str:
        left: asyncio.Event = request.scope["extensions"]["client_left"]["event"]
        return await look(left.is_set, seen)

    return scene.withheld(quart_answering({"/": handler}))  # Quart would cancel the handler


CHECK = "is-disconnected-check"


@judged(CHECK, [(AIOHTTP, "request.transport is None", serving(aiohttp_transport))])
@judged(CHECK, scene.with_body(until_cancelled, "except CancelledError"), scene.FIN)
@judged(CHECK, [(QUART, "an event set by an ASGI middleware", serving(quart_told))])
def noticed(seen: Seen) -> str:
    return "noticed" if "noticed" in seen else "not noticed"


WORDS = ("connect", "transport", "closed", "gone", "left", "alive")


async def looked() -> str:
    """What the request has to offer that is named like it."""
    names = dir(request._get_current_object())  # type: ignore[attr-defined]
    found = (name for name in names if not name.startswith("_"))
    return ",".join(name for name in found if any(word in name for word in WORDS))


@experiment(CHECK, QUART)
def look_at_the_request() -> Answer:
    with serve(quart_answering({"/": looked})) as server:
        found = get(server.port, "/").text
    if found:
        return Answer(found, "the request has these")
    return Answer(
        NONE,
        f"nothing of the request has a name with any of {', '.join(WORDS)}; the nearest thing is "
        "the cancellation, or an ASGI middleware that watches for http.disconnect",
    )


REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b"hello"
BOUND_S = 5.0
TRIES = 20
TOGETHER = getattr(socket, "MSG_MORE", 0)
"""Keeps the request back until the end follows, so that both go in one segment (Linux)."""


def _shut_and_read(port: int) -> str:
    """Send the request and shut at once, as `nc -N` does; what is there to read then."""
    with socket.create_connection(("127.0.0.1", port), BOUND_S) as client:
        client.sendall(REQUEST, TOGETHER)
        client.shutdown(socket.SHUT_WR)
        got = b""
        while not got.endswith(BODY) and (part := client.recv(65536)):
            got += part
    if got and not got.endswith(BODY):
        raise ValueError(f"{got!r} is not a whole answer")
    return f"answer {got.split()[1].decode()}" if got else "no answer"


AT_ONCE = scene.with_body(lambda _: hello(), "handler without await")
WAITING, WAITS = scene.awaiting(lambda _: asyncio.sleep(0.1, "hello")), "handler of 0.1 s"
# The last is the remedy: the end of what the client says is not taken for its leaving.
HALF_CLOSED = [
    *(row for row in AT_ONCE if "handler_cancellation" not in row[1]),
    *scene.begins(WAITING, WAITS),
    *scene.not_told(WAITING, WAITS),
]


@together(experiment("half-closed-client", *row) for row in sorted(HALF_CLOSED, key=itemgetter(0)))
def ask_half_closed(begin: Begin) -> Answer:
    """Several times: both ends are on the way at the same time."""
    with begin(Seen()) as server:
        answers = [_shut_and_read(server.port) for _ in range(TRIES)]
    found = sorted(set(answers))
    counted = ", ".join(f"{answers.count(one)} times {one}" for one in found)
    return Answer(" or ".join(found), f"{counted} of {TRIES}", varies=len(found) > 1)


RST_STREAM = "RST_STREAM, in the clear"
RESET = 1
"""The number of the first stream."""


def _both_asked() -> http2_client.Client:
    """A client that has asked for two things, of which the first is to be reset."""
    client = http2_client.connected()
    http2_client.ask(client, "/reset")
    http2_client.ask(client, "/other")
    return client


@experiment("http2-reset", QUART, RST_STREAM)
def reset_on_quart() -> Answer:
    app, seen = Quart(__name__), Seen()

    @app.get("/<name>")
    async def handler(name: str) -> str:
        seen(f"{name} begun")
        with seen.ends(name, f"{name} over"):
            await asyncio.sleep(0.3)
        return name

    client = _both_asked()
    with serve(app) as server, Wire(server.port) as wire:
        wire.send(client.data_to_send())
        if not (seen.wait("reset begun") and seen.wait("other begun")):
            raise TimeoutError("the handlers were never begun")
        client.reset_stream(RESET, ErrorCodes.CANCEL)
        wire.send(client.data_to_send())
        ((_, body),) = http2_client.finish(wire, client, 1, wire.some())
        seen.expect("reset over", "the handler of the stream that was reset never ended")
    reset = "cancelled" if "reset cancelled" in seen else "finished"
    rest = "finished and answered" if "other finished" in seen else "cancelled"
    return Answer(
        f"handler {reset}, the other {rest}",
        f"{seen.line}; the other stream got {body.decode()!r}",
    )


@experiment("http2-reset", AIOHTTP, RST_STREAM)
def reset_on_aiohttp() -> Answer:
    with serve(web.Application()) as server, Wire(server.port) as wire:
        wire.send(_both_asked().data_to_send())
        line = wire.some().split(b"\r\n")[0].decode()
    if not line.startswith("HTTP/1"):
        raise ValueError(f"{line!r} is not HTTP/1")
    return Answer(
        NONE, f"it answers {line!r} to HTTP/2; the nearest thing is a connection that is reset"
    )


ACCESS = re.compile(r'"POST / \S+" (?P<status>\S+) ')
LOGGED = re.compile(r"(?P<level>[A-Z]+):(?P<logger>[\w.]+):(?P<message>.*)")
"""A line as logging.basicConfig formats it."""


def kinds(lines: list[str]) -> list[str]:
    """What the lines are, without those of asyncio itself, each kind once."""
    kinds = []
    for line in lines:
        if access := ACCESS.search(line):
            kinds.append(f"access line, status {access['status']}")
        elif (logged := LOGGED.match(line)) is None:
            kinds.append("a line beside the log")
        elif logged["logger"] != "asyncio":
            kinds.append(f"{logged['level']} of {logged['logger']}")
    return list(dict.fromkeys(kinds))


LOGGING: dict[str, dict[str, Any]] = {
    "": {},
    "logging.basicConfig(level=INFO)": {"level": logging.INFO},
    "logging.basicConfig(level=DEBUG), PYTHONASYNCIODEBUG=1": {
        "level": logging.DEBUG,
        "debug": True,
    },
}
SAVING = each(saves.application, saves.plain_await)
WITH_ACCESS_LOG = serving(SAVING[QUART], accesslog="-")


@together(
    experiment("left-in-log", stack, scene.named(server, setting) or DEFAULT, begin, **options)
    for stack, server, begin in scene.begins(SAVING)
    for setting, options in LOGGING.items()
)
@experiment("left-in-log", QUART, "accesslog='-'", WITH_ACCESS_LOG)
def ask_log(begin: Begin, *, level: int | None = None, debug: bool = False) -> Answer:
    """Leave in the middle of a save that the handler awaits, and read the console."""
    os.environ["PYTHONASYNCIODEBUG"] = "1" if debug else ""
    with scene.console() as lines:
        if level is not None:
            logging.basicConfig(level=level)
        with saves.asked(begin) as (saving, _, wire):
            wire.leave(Leaving.FIN)
            saved = saves.SAVED[saving.settled()]
        # The server has stopped: it has said all it has to say.
        written = lines()
    told = kinds(written)
    last = [line for line in written if kinds([line])][-1:]
    return Answer(
        f"{saved}; {' and '.join(told) or 'nothing'}",
        f"{saving.handler}; " + (f"the last line: {last[0]}" if last else "no line of a server"),
    )
