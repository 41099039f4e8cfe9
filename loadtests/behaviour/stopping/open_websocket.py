"""An open WebSocket."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Agrees, Answer, Claim, Question
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.stopping.scene import Scene, Stopped, experiments, remedies


def _open(wire: Wire, scene: Scene) -> None:
    wire.request(
        "GET",
        "/socket",
        [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "bG9vcGJlbmNoIGFza3MuLg=="),
        ],
    )
    wire.head()
    scene.seen.wait("begun")


def _judge(stopped: Stopped, grace_s: float) -> Answer:
    return Answer(stopped.when(grace_s), stopped.told)


QUESTION = Question(
    asks="Does an open WebSocket hold up a stop?",
    experiments=(*experiments(_open, _judge), *remedies(_open, _judge)),
    claims=(
        Claim(
            "WebSockets must be closed in on_shutdown, or the stop waits for them.",
            {"stops at once": Agrees.NO, "*": Agrees.YES},
            ("aiohttp",),
            ("default", "shutdown_timeout=1"),
        ),
    ),
    follows={
        "stops after*": "Keep the open WebSockets in a set, and close them when the stop begins "
        "(aiohttp: on_shutdown).",
        "does not stop*": "From Python 3.12 on Hypercorn waits without a bound for every open "
        "connection: keep the open WebSockets in a set and close them when the stop begins, or "
        "cancel the task that serves.",
    },
)
