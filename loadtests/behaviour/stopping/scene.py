"""A situation, a stop, and what each side saw of it: requests, streams, sockets and connections,
under way, half sent or idle."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from aiohttp import WSCloseCode, web
from quart import Quart, request, websocket

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, App, Build, serve
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, NoAnswer, Wire, get
from loopbench.loadtests.behaviour.talking import as_seen, noting, received, seen, shake_hands

SHORT_S = 1.5
"""A request that ends inside every grace time that is asked about, but one of 1 s."""

LONG_S = 600.0
"""A request that outlives every grace time."""

WATCHED_S = 140.0
"""How long a stop is watched before it counts as hanging: more than twice any default."""

BOUND_S = WATCHED_S + 15

GRACE_S = {AIOHTTP: 60.0, QUART: 3.0}
"""The defaults: shutdown_timeout of AppRunner, graceful_timeout of Hypercorn's Config. A test
holds them to the installed versions."""


async def wait(wait_s: float) -> str:
    """The work of a handler that waits."""
    seen("begun")
    with seen.ends():
        await asyncio.sleep(wait_s)
    return "done"


def hold_thread(wait_s: float) -> str:
    """The work of a handler that waits in a thread."""
    seen("begun")
    time.sleep(wait_s)
    seen("finished")
    return "done"


async def stream(wait_s: float) -> AsyncIterator[bytes]:
    yield b"first "
    await wait(wait_s)
    yield b"last"


def routes(answers: Build, wait_s: float) -> App:
    """What handlers of both stacks do."""
    works = {"/wait": partial(wait, wait_s), "/stream": partial(stream, wait_s), "/": apps.hello}
    app = answers(works, sync={"/thread": partial(hold_thread, wait_s)})
    apps.at_end(app, noting("clean-up"))
    return app


def aiohttp_scene(wait_s: float = SHORT_S, *, close_sockets: bool = False) -> web.Application:
    """Routes for every situation.

    close_sockets: close the open WebSockets as the stop begins, as aiohttp's documentation says.
    """
    sockets: set[web.WebSocketResponse] = set()

    async def body(request: web.Request) -> web.Response:
        seen("begun")
        return web.Response(text=f"{len(await request.read())} bytes")

    async def socket(request: web.Request) -> web.StreamResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        sockets.add(answer)
        seen("begun")
        async for _ in answer:
            pass
        seen("finished")
        return answer

    async def shutdown(_: web.Application) -> None:
        for connection in sockets:
            await connection.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops")

    app: web.Application = routes(apps.aiohttp_answering, wait_s)
    app.add_routes([web.post("/body", body), web.get("/socket", socket)])
    if close_sockets:
        app.on_shutdown.append(shutdown)
    return app


def quart_scene(wait_s: float = SHORT_S) -> Quart:
    """The same routes."""
    app: Quart = routes(apps.quart_answering, wait_s)

    @app.post("/body")
    async def body() -> str:
        seen("begun")
        return f"{len(await request.get_data())} bytes"

    @app.websocket("/socket")
    async def socket() -> None:
        seen("begun")
        while True:
            await websocket.receive()

    return app


def when(took_s: float | None, wait_s: float, grace_s: float) -> str:
    """When a stop ended, in terms of what it may have waited for. took_s: None where it hung.

    wait_s: how long a handler waits that waits. grace_s: the grace time.
    """
    if took_s is None:
        return f"does not stop within {WATCHED_S:g} s"
    near = {
        "stops at once": 0.0,
        "stops with the request": wait_s,
        "stops after the grace time": grace_s,
        "stops after twice the grace time": 2 * grace_s,
    }
    words, expected = min(near.items(), key=lambda pair: abs(pair[1] - took_s))
    near_enough = abs(expected - took_s) <= 0.3 + 0.1 * expected
    return words if near_enough else f"stops after {took_s:.0f} s"


def clean_up() -> str:
    """When the application's clean-up ran."""
    events = [event for event in seen.events if event != "begun"]
    if "clean-up" not in events:
        return "the clean-up never ran"
    return f"clean-up {'before' if events[0] == 'clean-up' else 'after'} the request has ended"


def ask_wait(wire: Wire, path: str = "/wait") -> None:
    """A request is under way."""
    wire.request("GET", path)
    seen.wait("begun")


def ask_stop(
    application: Build,
    grace_s: float,
    situation: Callable[[Wire], object],
    answer: str,
    wait_s: float = SHORT_S,
    **options: float,
) -> Answer:
    """Bring the connection into the situation that the stop then meets, stop the server, and read
    what the client gets.

    answer: its words, with what became of each in braces. wait_s, grace_s: as `when` has them.
    options: of the server.
    """
    with serve(application(wait_s), **options) as server, Wire(server.port) as wire:
        situation(wire)
        began = time.perf_counter()
        server.begin_stop()
        took_s = time.perf_counter() - began if server.stopped(WATCHED_S) else None
        client = received(wire)
    words = answer.format(
        stop=when(took_s, wait_s, grace_s),
        client=client,
        handler="cancelled" if "cancelled" in seen else "not cancelled",
        thread="thread done" if "finished" in seen else "thread still runs",
        clean_up=clean_up(),
    )
    took = "not stopped" if took_s is None else f"stopped after {took_s:.2f} s"
    return as_seen(words, f"{took}; the client {client}")


STACKS: dict[str, tuple[Build, str]] = {
    AIOHTTP: (aiohttp_scene, "shutdown_timeout"),
    QUART: (quart_scene, "graceful_timeout"),
}
"""The application of each, and what the grace time of its server is called."""

CLOSING = partial(aiohttp_scene, close_sockets=True)
CANCELLED = "the serving task cancelled 1 s after the trigger"
REMEDIES: dict[str, tuple[str, Build, dict[str, Any]]] = {
    AIOHTTP: ("WebSockets closed in on_shutdown", CLOSING, {}),
    QUART: (CANCELLED, quart_scene, {"cancel_after_s": 1.0}),
}
"""What helps where a stop takes too long, or never ends, within 1 s: setting, application, and
options of the server."""


def stops(
    question: str,
    *meant: Any,
    graces: tuple[float, ...] = (1.0,),
    remedies: tuple[str, ...] = (),
) -> None:
    """Ask of each stack, with its default grace time and with those named; and of those stacks with
    what helps there. meant: the situation, the answer and how long handlers wait, of `ask_stop`."""
    row = partial(experiment, question, bound_s=BOUND_S, waits=True)
    for stack in remedies:
        setting, app, options = REMEDIES[stack]
        row(stack, setting, app, 1.0, *meant, **options)(ask_stop)
    for stack, (app, name) in STACKS.items():
        row(stack, DEFAULT, app, GRACE_S[stack], *meant)(ask_stop)
        for grace in graces:
            options = {name: grace}
            row(stack, f"{name}={grace:g}", app, grace, *meant, **options)(ask_stop)


def leave(wire: Wire) -> None:
    wire.ask("GET", "/")
    wire.leave(Leaving.FIN)


def open_socket(wire: Wire) -> None:
    shake_hands(wire, "/socket")
    seen.wait("begun")


def half_a_body(wire: Wire) -> None:
    wire.send(b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
    seen.wait("begun")


def half_a_head(wire: Wire) -> None:
    wire.send(b"GET / HTTP/1.1\r\nHost: loc")
    time.sleep(0.2)  # so that the server has read it


ask_stream, ask_thread = partial(ask_wait, path="/stream"), partial(ask_wait, path="/thread")
CLIENT, HANDLER = "{stop}, client {client}", "{stop}, handler {handler}, client {client}"

stops("nothing-in-flight", leave, "{stop}", graces=())
stops("open-websocket", open_socket, "{stop}", remedies=(QUART, AIOHTTP))
stops("half-sent-body", half_a_body, CLIENT)
stops("half-sent-request", half_a_head, CLIENT)
stops("idle-keep-alive", lambda wire: wire.ask("GET", "/"), CLIENT)
stops("request-ends-inside-grace", ask_wait, CLIENT, graces=(5.0,))
stops("request-outlives-grace", ask_wait, HANDLER, LONG_S, remedies=(QUART,))
stops("long-stream", ask_stream, "{stop}, stream {handler}", LONG_S)
stops("work-in-thread", ask_thread, "{stop}, {thread}", 6.0)
stops("cleanup-order", ask_wait, "{clean_up}", graces=(0.5,))


@experiments("new-connections", {stack: application for stack, (application, _) in STACKS.items()})
def ask_meanwhile(application: Build) -> Answer:
    """Connect while a request of 1.5 s keeps the stop waiting, and bind the port afterwards."""
    with serve(application()) as server, Wire(server.port) as wire:
        ask_wait(wire)
        server.begin_stop()
        seen.wait("never", 0.3)  # a moment in the middle of the stop
        try:
            meanwhile = f"answered with {get(server.port, '/', 1.0).status}"
        except ConnectionRefusedError:
            meanwhile = "refused"
        except (NoAnswer, ConnectionError) as error:
            meanwhile = f"accepted and then dropped ({type(error).__name__})"
        if "finished" in seen:
            raise TimeoutError("the request had ended before the new connection came")
        server.stopped(20.0)
        try:
            socket.create_server(("127.0.0.1", server.port)).close()
            port = "port free afterwards"
        except OSError as error:
            port = f"port not free ({error.strerror})"
    return as_seen(f"{meanwhile}, {port}")
