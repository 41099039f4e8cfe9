"""What a stop meets: requests, streams, sockets and connections, under way, half sent or idle."""

from __future__ import annotations

import socket
import time
from functools import partial

from loopbench.loadtests.behaviour.asking import Answer, experiments
from loopbench.loadtests.behaviour.serving import Build, serve
from loopbench.loadtests.behaviour.stopping.scene import (
    LONG_S,
    STACKS,
    Scene,
    Stopped,
    ask_wait,
    remedied,
    stops,
)
from loopbench.loadtests.behaviour.talking import Leaving, NoAnswer, Wire, get, shake_hands


def leave(wire: Wire, _: Scene) -> None:
    wire.ask("GET", "/")
    wire.leave(Leaving.FIN)


def open_socket(wire: Wire, scene: Scene) -> None:
    shake_hands(wire, "/socket")
    scene.seen.wait("begun")


@stops("nothing-in-flight", leave, graces=())
@stops("open-websocket", open_socket)
@remedied("open-websocket", "aiohttp", open_socket)
@remedied("open-websocket", "quart-hypercorn", open_socket)
def when(stopped: Stopped, grace_s: float) -> Answer:
    return Answer(stopped.when(grace_s), stopped.told)


def half_a_body(wire: Wire, scene: Scene) -> None:
    wire.send(b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
    scene.seen.wait("begun")


def half_a_head(wire: Wire, _: Scene) -> None:
    wire.send(b"GET / HTTP/1.1\r\nHost: loc")
    time.sleep(0.2)  # so that the server has read it


def idle(wire: Wire, _: Scene) -> None:
    wire.ask("GET", "/")


@stops("half-sent-body", half_a_body)
@stops("half-sent-request", half_a_head)
@stops("idle-keep-alive", idle)
@stops("request-ends-inside-grace", ask_wait, graces=(5.0,))
def and_client(stopped: Stopped, grace_s: float) -> Answer:
    return Answer(f"{stopped.when(grace_s)}, client {stopped.client}", stopped.told)


@stops("request-outlives-grace", ask_wait, wait_s=LONG_S)
@remedied("request-outlives-grace", "quart-hypercorn", ask_wait, wait_s=LONG_S)
def and_handler(stopped: Stopped, grace_s: float) -> Answer:
    handler = "cancelled" if "cancelled" in stopped.scene.seen else "not cancelled"
    words = f"{stopped.when(grace_s)}, handler {handler}, client {stopped.client}"
    return Answer(words, stopped.told)


@stops("long-stream", partial(ask_wait, path="/stream"), wait_s=LONG_S)
def and_stream(stopped: Stopped, grace_s: float) -> Answer:
    handler = "cancelled" if "cancelled" in stopped.scene.seen else "not cancelled"
    return Answer(f"{stopped.when(grace_s)}, stream {handler}", stopped.told)


@stops("work-in-thread", partial(ask_wait, path="/thread"), wait_s=6.0)
def and_thread(stopped: Stopped, grace_s: float) -> Answer:
    thread = "thread done" if "finished" in stopped.scene.seen else "thread still runs"
    return Answer(f"{stopped.when(grace_s)}, {thread}", stopped.told)


@stops("cleanup-order", ask_wait, graces=(0.5,))
def and_clean_up(stopped: Stopped, _: float) -> Answer:
    events = [event for event in stopped.scene.seen.events if event != "begun"]
    if "clean-up" not in events:
        return Answer("the clean-up never ran", stopped.told)
    order = "before" if events.index("clean-up") == 0 else "after"
    return Answer(f"clean-up {order} the request has ended", stopped.told)


def _meanwhile(port: int) -> str:
    try:
        return f"answered with {get(port, '/', 1.0).status}"
    except ConnectionRefusedError:
        return "refused"
    except (NoAnswer, ConnectionError) as error:
        return f"accepted and then dropped ({type(error).__name__})"


@experiments("new-connections", {stack: application for stack, (application, _) in STACKS.items()})
def ask_meanwhile(application: Build) -> Answer:
    """Connect while a request of 1.5 s keeps the stop waiting, and bind the port afterwards."""
    scene = Scene()
    with serve(application(scene)) as server, Wire(server.port) as wire:
        ask_wait(wire, scene)
        server.begin_stop()
        scene.seen.wait("never", 0.3)  # a moment in the middle of the stop
        meanwhile = _meanwhile(server.port)
        under_way = "finished" not in scene.seen
        server.stopped(20.0)
        try:
            socket.create_server(("127.0.0.1", server.port)).close()
            port = "port free afterwards"
        except OSError as error:
            port = f"port not free ({error.strerror})"
    if not under_way:
        raise TimeoutError("the request had ended before the new connection came")
    return Answer(f"{meanwhile}, {port}", f"a connection during the stop was {meanwhile}; {port}")
