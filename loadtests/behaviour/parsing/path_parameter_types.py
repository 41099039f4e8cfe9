"""Parameters of the path that are to be numbers."""

from __future__ import annotations

from functools import partial

from loopbench.loadtests.behaviour.framework.question import Answer, Experiment, Question
from loopbench.loadtests.behaviour.parsing.routes import aiohttp_route, ask, quart_route

VALUES = ("7", "007", "-7", "x")
AIOHTTP = (r"/{n}", r"/{n:\d+}")
QUART = ("/<n>", "/<int:n>", "/<int(signed=True):n>")


def ask_aiohttp(route: str, value: str) -> Answer:
    return ask(aiohttp_route(route), f"/{value}")


def ask_quart(route: str, value: str) -> Answer:
    return ask(quart_route(route), f"/{value}")


QUESTION = Question(
    asks="Of which type is a parameter of the path, and what if it does not fit?",
    experiments=(
        *(
            Experiment(
                "aiohttp", f"route {route}, GET /{value}", partial(ask_aiohttp, route, value)
            )
            for route in AIOHTTP
            for value in VALUES
        ),
        *(
            Experiment(
                "quart-hypercorn", f"route {route}, GET /{value}", partial(ask_quart, route, value)
            )
            for route in QUART
            for value in VALUES
        ),
    ),
    follows={
        "200, n is '*'": "It is text: convert it, and answer 400 or 404 where `int` raises.",
        "404": "What does not fit is as if the route were not there.",
    },
)
