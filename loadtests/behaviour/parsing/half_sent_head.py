"""A client that sends half of a request's head, and no more, or very slowly."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import Any

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire
from loopbench.loadtests.behaviour.parsing.exchanging import PLAIN, Serve

HALF = b"GET / HTTP/1.1\r\nHost: local"
LONG_S = 30.0
EVERY_S = 0.25
DRIPS_S = 4.0


def _told(wire: Wire, began: float, patience_s: float) -> Answer:
    try:
        said = wire.rest(patience_s)
    except NoAnswer:
        return Answer(f"open after {patience_s:g} s", "no answer, and it was not closed")
    took_s = time.perf_counter() - began
    status = said.split(b" ")[1].decode() if said else "without an answer"
    return Answer(
        f"closed after {took_s:.0f} s, {status}", f"closed after {took_s:.2f} s, {said!r}"
    )


def ask(serve: Serve, patience_s: float = 10.0, again: bool = False, **options: Any) -> Answer:
    """again: a whole request goes before, on the same connection."""
    with serve(**options) as server, Wire(server.port) as wire:
        if again:
            wire.request("GET", "/")
            wire.answer()
        wire.send(HALF)
        return _told(wire, time.perf_counter(), patience_s)


def drip(serve: Serve, **options: Any) -> Answer:
    """A byte of a header at a time, for longer than the timeout."""
    with serve(**options) as server, Wire(server.port) as wire:
        began = time.perf_counter()
        wire.send(HALF)
        with suppress(ConnectionError):
            while time.perf_counter() - began < DRIPS_S:
                with suppress(NoAnswer):
                    if not wire.some(EVERY_S):
                        return _told(wire, began, 0.1)
                wire.send(b"x")
            return Answer(f"open after {DRIPS_S:g} s", f"a byte came every {EVERY_S:g} s")
        return _told(wire, began, 0.1)


AIOHTTP, QUART = PLAIN["aiohttp"], PLAIN["quart-hypercorn"]
DRIPPING = f"a byte every {EVERY_S:g} s"

QUESTION = Question(
    asks="When does the server give up a client that sends half a head?",
    experiments=(
        Experiment("aiohttp", DEFAULT, partial(ask, AIOHTTP, LONG_S), bound_s=50),
        Experiment("aiohttp", "keepalive_timeout=1", partial(ask, AIOHTTP, keepalive_timeout=1)),
        Experiment(
            "aiohttp",
            "keepalive_timeout=1, second request",
            partial(ask, AIOHTTP, again=True, keepalive_timeout=1),
        ),
        Experiment(
            "aiohttp",
            f"keepalive_timeout=1, {DRIPPING}",
            partial(drip, AIOHTTP, keepalive_timeout=1),
        ),
        Experiment("quart-hypercorn", DEFAULT, partial(ask, QUART)),
        Experiment(
            "quart-hypercorn", "keep_alive_timeout=1", partial(ask, QUART, keep_alive_timeout=1)
        ),
        Experiment(
            "quart-hypercorn",
            "keep_alive_timeout=1, second request",
            partial(ask, QUART, again=True, keep_alive_timeout=1),
        ),
        Experiment(
            "quart-hypercorn",
            f"keep_alive_timeout=1, {DRIPPING}",
            partial(drip, QUART, keep_alive_timeout=1),
        ),
    ),
    claims=(
        Claim(
            "Without a proxy in front, slow heads (Slowloris) hold connections for ever.",
            {"open*": Agrees.YES, "closed*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "open*": "Half a head counts as an idle connection: `keepalive_timeout` of `AppRunner` "
        "bounds both.",
        "closed*": "The keep-alive timeout bounds the whole head, however slowly it comes.",
    },
)
