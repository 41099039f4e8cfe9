"""HTTP/2 without TLS."""

from __future__ import annotations

from functools import partial

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.parsing import http2
from loopbench.loadtests.behaviour.parsing.exchanging import PLAIN, head


def _converse(wire: Wire, client: http2.Client, received: bytes) -> Answer:
    ((status, body),) = http2.finish(wire, client, 1, received)
    return Answer(f"{status} over HTTP/2", f"status {status} and {body!r} on stream 1")


def _not_spoken(first: bytes) -> Answer:
    line = first.split(b"\r\n")[0].decode()
    return Answer(f"{line.split()[1]} over HTTP/1", f"the answer began {line!r}")


def prior_knowledge(stack: str) -> Answer:
    client = http2.connected()
    http2.ask(client, "/")
    with PLAIN[stack]() as server, Wire(server.port) as wire:
        wire.send(client.data_to_send())
        received = wire.some()
        if received.startswith(b"HTTP/1"):
            return _not_spoken(received)
        return _converse(wire, client, received)


def upgrade(stack: str) -> Answer:
    client = http2.upgrading()
    settings = client.initiate_upgrade_connection() or b""
    lines = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")
    with PLAIN[stack]() as server, Wire(server.port) as wire:
        wire.send(head("GET", "/", *lines, f"HTTP2-Settings: {settings.decode()}"))
        first = wire.head()
        if first.split()[1] != b"101":
            return _not_spoken(first)
        wire.send(client.data_to_send())
        return _converse(wire, client, wire.some())


QUESTION = Question(
    asks="Does the server speak HTTP/2 without TLS?",
    experiments=tuple(
        Experiment(stack, setting, partial(ask, stack))
        for setting, ask in (("prior knowledge", prior_knowledge), ("Upgrade: h2c", upgrade))
        for stack in PLAIN
    ),
    claims=(
        Claim(
            "aiohttp speaks HTTP/1.1 only.",
            {"*over HTTP/1": Agrees.YES, "*over HTTP/2": Agrees.NO},
            ("aiohttp",),
        ),
        Claim(
            "Hypercorn speaks HTTP/2.",
            {"*over HTTP/1": Agrees.NO, "*over HTTP/2": Agrees.YES},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "4* over HTTP/1": "A proxy must speak HTTP/1.1 to this server.",
        "* over HTTP/2": "Anybody who reaches the port can ask for it: limits that hold for "
        "HTTP/1, such as that of the head, have others here.",
    },
)
