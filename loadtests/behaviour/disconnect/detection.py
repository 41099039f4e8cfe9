"""How leaving shows: to the handler, on a half-closed connection, over HTTP/2, in the log."""

import asyncio
import logging
import os
import re
import socket
from collections.abc import Callable
from functools import partial

from h2.errors import ErrorCodes
from quart import Quart, request

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, ANSWERING, QUART, Build, Work, serve
from loopbench.loadtests.behaviour.asking import DEFAULT, NONE, Answer, experiment
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.disconnect.leaving import Begin, judged, serving
from loopbench.loadtests.behaviour.disconnect.saving import PLAIN_AWAIT, SAVED, asked, settled
from loopbench.loadtests.behaviour.framework import http2_client
from loopbench.loadtests.behaviour.framework.experiment import together
from loopbench.loadtests.behaviour.parsing.scene import aiohttp_reader
from loopbench.loadtests.behaviour.talking import Leaving, Wire, as_seen, head, reply_of, seen

CHECKS = 100
BETWEEN_S = 0.02


async def look(gone: Callable[[], bool]) -> str:
    """Ask again and again whether the client has left."""
    seen("begun")
    with scene.handling():
        for _ in range(CHECKS):
            if gone():
                seen("noticed")
                break
            seen("checked")
            await asyncio.sleep(BETWEEN_S)
    return "done"


ON_TRANSPORT = partial(aiohttp_reader, lambda request: look(lambda: request.transport is None))


def quart_told() -> Quart:
    async def handler() -> str:
        left: asyncio.Event = request.scope["extensions"]["client_left"]["event"]
        return await look(left.is_set)

    app = apps.quart_answering({"/": handler})
    scene.withhold(app)  # Quart would cancel the handler
    return app


async def until_cancelled() -> None:
    """Without asking: wait, and see whether one is told."""
    seen("begun")
    try:
        await asyncio.sleep(0.3)
    except asyncio.CancelledError:
        seen("noticed")
        raise


CHECK = "is-disconnected-check"
CATCHING = scene.begins(scene.doing(until_cancelled), "except CancelledError")


@judged(CHECK, [(AIOHTTP, "request.transport is None", serving(ON_TRANSPORT))])
@judged(CHECK, CATCHING, scene.FIN)
@judged(CHECK, [(QUART, "an event set by an ASGI middleware", serving(quart_told))])
def noticed() -> str:
    return "noticed" if "noticed" in seen else "not noticed"


@experiment(CHECK, QUART)
def look_at_the_request() -> Answer:
    """What the request has to offer that is named like it."""

    async def names() -> str:
        return " ".join(dir(request._get_current_object()))  # type: ignore[attr-defined]

    attributes = reply_of(apps.quart_answering({"/": names})).text.split()
    nearest = "the cancellation, or an ASGI middleware that watches for http.disconnect"
    return apps.counterpart(
        attributes, "(?!_).*(connect|transport|closed|gone|left|alive).*", nearest
    )


BODY = b"hello"
BOUND_S = 5.0
TRIES = 20
TOGETHER = getattr(socket, "MSG_MORE", 0)
"""Keeps the request back until the end follows, so that both go in one segment (Linux)."""


def _shut_and_read(port: int) -> str:
    """Send the request and shut at once, as `nc -N` does; what is there to read then."""
    with socket.create_connection(("127.0.0.1", port), BOUND_S) as client:
        client.sendall(head("GET", "/"), TOGETHER)
        client.shutdown(socket.SHUT_WR)
        got = b""
        while not got.endswith(BODY) and (part := client.recv(65536)):
            got += part
    if got and not got.endswith(BODY):
        raise ValueError(f"{got!r} is not a whole answer")
    return f"answer {got.split()[1].decode()}" if got else "no answer"


AT_ONCE = scene.doing(apps.hello)
WAITING, WAITS = scene.doing(lambda: asyncio.sleep(0.1, "hello")), "handler of 0.1 s"
# The last is the remedy: the end of what the client says is not taken for its leaving.
HALF_CLOSED = [
    *((stack, "handler without await", serving(make)) for stack, make in AT_ONCE.items()),
    *scene.begins(WAITING, WAITS),
    *scene.not_told(WAITING, WAITS),
]


@together(experiment("half-closed-client", *row) for row in HALF_CLOSED)
def ask_half_closed(begin: Begin) -> Answer:
    """Several times: both ends are on the way at the same time."""
    with begin() as server:
        answers = [_shut_and_read(server.port) for _ in range(TRIES)]
    distinct = sorted(set(answers))
    counted = ", ".join(f"{answers.count(answer)} times {answer}" for answer in distinct)
    return Answer(" or ".join(distinct), f"{counted} of {TRIES}", varies=len(distinct) > 1)


RST_STREAM = "RST_STREAM, in the clear"


@experiment("http2-reset", QUART, RST_STREAM, ANSWERING[QUART])
@experiment("http2-reset", AIOHTTP, RST_STREAM, ANSWERING[AIOHTTP])
def ask_reset(application: Build) -> Answer:
    async def handle(name: str) -> str:
        seen(f"{name} begun")
        with seen.ends(name, f"{name} over"):
            await asyncio.sleep(0.3)
        return name

    works: dict[str, Work] = {f"/{name}": partial(handle, name) for name in ("reset", "other")}
    client = http2_client.connected()
    for path in works:
        http2_client.ask(client, path)
    with serve(application(works)) as server, Wire(server.port) as wire:
        wire.send(client.data_to_send())
        received = wire.some()
        if received.startswith(b"HTTP/1"):
            line = received.split(b"\r\n")[0].decode()
            evidence = f"it answers {line!r} to HTTP/2; the nearest is a reset of the connection"
            return Answer(NONE, evidence)
        seen.expect("reset begun", "the handlers were never begun")
        seen.expect("other begun", "the handlers were never begun")
        client.reset_stream(1, ErrorCodes.CANCEL)  # the first one
        wire.send(client.data_to_send())
        ((_, body),) = http2_client.finish(wire, client, 1, received)
        seen.expect("reset over", "the handler of the stream that was reset never ended")
    reset = "cancelled" if "reset cancelled" in seen else "finished"
    rest = "finished and answered" if "other finished" in seen else "cancelled"
    got = f"the other stream got {body.decode()!r}"
    return as_seen(f"handler {reset}, the other {rest}", got)


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


LOGGING = {
    "": (None, False),
    "logging.basicConfig(level=INFO)": (logging.INFO, False),
    "logging.basicConfig(level=DEBUG), PYTHONASYNCIODEBUG=1": (logging.DEBUG, True),
}
"""The level, and whether asyncio is in debug mode."""


@together(
    experiment("left-in-log", stack, scene.named(server, setting) or DEFAULT, begin, *options)
    for stack, server, begin in scene.begins(PLAIN_AWAIT)
    for setting, options in LOGGING.items()
)
@experiment("left-in-log", QUART, "accesslog='-'", serving(PLAIN_AWAIT[QUART], accesslog="-"))
def ask_log(begin: Begin, level: int | None = None, debug: bool = False) -> Answer:
    """Leave in the middle of a save that the handler awaits, and read the console."""
    os.environ["PYTHONASYNCIODEBUG"] = "1" if debug else ""
    if level is not None:
        logging.basicConfig(level=level)
    with asked(begin) as (_, wire):
        wire.leave(Leaving.FIN)
        saved = SAVED[settled()]
    # The server has stopped: it has said all it has to say.
    written = scene.console()
    line_kinds = kinds(written)
    last = [line for line in written if kinds([line])][-1:]
    line = f"the last line: {last[0]}" if last else "no line of a server"
    return as_seen(f"{saved}; {' and '.join(line_kinds) or 'nothing'}", line)
