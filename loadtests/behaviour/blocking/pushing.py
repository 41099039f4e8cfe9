"""What the Questions about handlers that send without end share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from multiprocessing.connection import Connection

from loopbench.loadtests.behaviour.blocking.beside import beside
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire, get
from loopbench.loadtests.behaviour.framework.servers import Live

PATIENCE_S = 1.5
"""How long an answer is waited for; far less than it takes to fill all buffers on the way."""
FLOWING_S = 0.2
"""How long it flows before anybody asks for something else."""
FULL_S = 15.0
"""How long it may take, on a busy machine, until all buffers on the way are full."""


def ask(
    begin: Callable[[], AbstractContextManager[Live]],
    opening: Callable[[Wire], object],
    *,
    reads_on: bool = True,
) -> Answer:
    """Ask for a page while a client in a process of its own is sent things without end.

    opening: what the client says first. reads_on: it reads as fast as it can; else it stops.
    """
    patience_s = PATIENCE_S if reads_on else FULL_S
    client = partial(receiving, opening, tell if reads_on else stop_reading)
    with beside(client) as receiver, begin() as server:
        receiver.send(server.port)
        receiver.recv()
        time.sleep(FLOWING_S)
        before = _how_much(receiver)
        try:
            took_s = get(server.port, "/", patience_s).took_s
        except NoAnswer:
            answer, told = "others starve", f"no answer within {patience_s:g} s"
        else:
            answer, told = "others are served", f"served after {took_s:.3f} s"
        read = _how_much(receiver) - before
        receiver.close()  # so that it leaves, and the server can stop
    return Answer(answer, f"{told}; meanwhile the client read {read / 1000:.0f} kB")


def _how_much(receiver: Connection) -> int:
    receiver.send("how much")
    return int(receiver.recv())


Then = Callable[[Connection, int], None]
"""What a client does with its bytes, given how many there are by now."""


def tell(parent: Connection, read: int) -> None:
    """Say how many they are where the experiment has asked, and go on."""
    while parent.poll():
        parent.recv()
        parent.send(read)


def stop_reading(parent: Connection, read: int) -> None:
    """Read no more, and only answer the experiment from now on."""
    while True:
        parent.recv()
        parent.send(read)


def receiving(opening: Callable[[Wire], object], then: Then, parent: Connection) -> None:
    """The client: told the port, it says when the first bytes are there. It leaves when the
    experiment closes the connection to it."""
    read = 0
    with Wire(parent.recv()) as wire:
        opening(wire)
        while received := wire.some():
            if not read:
                parent.send("flowing")
            read += len(received)
            then(parent, read)


SETTINGS: tuple[tuple[str, float | None, bool], ...] = (
    ("no sleep", None, True),
    ("await asyncio.sleep(0)", 0.0, True),
    ("no sleep, a client that has stopped reading", None, False),
)
"""Setting, how long the handler sleeps after each piece, and whether the client reads on."""


def question(
    asks: str,
    begins: Mapping[str, Callable[[float | None], AbstractContextManager[Live]]],
    opening: Callable[[Wire], object],
) -> Question:
    """A Question about one kind of sending, by stack."""
    return Question(
        asks,
        tuple(
            Experiment(
                stack,
                setting,
                partial(ask, partial(begin, sleep_s), opening, reads_on=reads_on),
                bound_s=2 * FULL_S,
                alone=reads_on,
            )
            for stack, begin in begins.items()
            for setting, sleep_s, reads_on in SETTINGS
        ),
        CLAIMS,
        FOLLOWS,
    )


CLAIMS = (
    Claim(
        "Every `await` gives the others their turn.",
        {"others are served": Agrees.YES, "others starve": Agrees.NO},
        ("aiohttp", "quart-hypercorn"),
        ("no sleep",),
    ),
)
FOLLOWS = {
    "others starve": "An `await` that never has to wait never yields, and sending waits only "
    "once the buffers up to the client are full: put `await asyncio.sleep(0)` into such a loop.",
    "others are served": "Each turn of the loop, or a wait for a client that is slow, lets the "
    "others in.",
}
