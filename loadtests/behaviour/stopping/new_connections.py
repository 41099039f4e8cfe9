"""New connections while the server stops, and its port afterwards."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire, get
from loopbench.loadtests.behaviour.framework.servers import Live
from loopbench.loadtests.behaviour.stopping.scene import STACKS, Scene, ask_wait


def _meanwhile(port: int) -> str:
    try:
        return f"answered with {get(port, '/', 1.0).status}"
    except ConnectionRefusedError:
        return "refused"
    except (NoAnswer, ConnectionError) as error:
        return f"accepted and then dropped ({type(error).__name__})"


def ask(begin: Callable[[Scene], AbstractContextManager[Live]]) -> Answer:
    """Connect while a request of 1.5 s keeps the stop waiting, and bind the port afterwards."""
    scene = Scene()
    with begin(scene) as server, Wire(server.port) as wire:
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


QUESTION = Question(
    asks="What does a new client meet while the server stops, and is the port free afterwards?",
    experiments=tuple(
        Experiment(stack, DEFAULT, partial(ask, begin)) for stack, (begin, _) in STACKS.items()
    ),
    claims=(
        Claim(
            "A stopping server refuses new connections.",
            {"refused*": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "refused*": "Take the server out of the load balancer before the stop, or clients see "
        "refused connections meanwhile.",
    },
)
