"""How many requests one connection may carry."""

from __future__ import annotations

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
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.parsing.exchanging import FOLLOWING, PLAIN

MOST = 1100


def ask(stack: str, **options: Any) -> Answer:
    with PLAIN[stack](**options) as server, Wire(server.port) as wire:
        for number in range(1, MOST + 1):
            wire.send(FOLLOWING)
            reply = wire.answer()
            said = reply.header("connection")
            if said == "close":
                closed = wire.closed()
                after = (
                    "still open 10 s later" if closed is None else f"closed {closed:.2f} s later"
                )
                return Answer(f"{number}", f"answer {number} said Connection: close; {after}")
    return Answer(f"{MOST} and more", f"{MOST} answers on one connection, none said close")


QUESTION = Question(
    asks="How many requests may one connection carry?",
    experiments=(
        Experiment("aiohttp", DEFAULT, partial(ask, "aiohttp")),
        Experiment("quart-hypercorn", DEFAULT, partial(ask, "quart-hypercorn")),
        Experiment(
            "quart-hypercorn",
            "keep_alive_max_requests=3",
            partial(ask, "quart-hypercorn", keep_alive_max_requests=3),
        ),
        Experiment(
            "quart-hypercorn",
            "keep_alive_max_requests=10**9",
            partial(ask, "quart-hypercorn", keep_alive_max_requests=10**9),
        ),
    ),
    claims=(
        Claim(
            "A kept-alive connection lives as long as it is used.",
            {"*and more": Agrees.YES, "1*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "1000": "Load on few connections reconnects now and then, which shows in the slowest "
        "requests; `keep_alive_max_requests` sets how often.",
    },
)
