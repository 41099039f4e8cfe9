"""A slash inside a parameter of the path, written %2F."""

from __future__ import annotations

from functools import partial

from loopbench.loadtests.behaviour.framework.question import Answer, Experiment, Question
from loopbench.loadtests.behaviour.parsing.routes import aiohttp_route, ask, quart_route

TARGETS = ("/files/a%2Fb", "/files/a%252Fb")
AIOHTTP = ("/files/{name}", "/files/{name:.+}")
QUART = ("/files/<name>", "/files/<path:name>")


def ask_aiohttp(route: str, target: str) -> Answer:
    return ask(aiohttp_route(route), target)


def ask_quart(route: str, target: str) -> Answer:
    return ask(quart_route(route), target)


QUESTION = Question(
    asks="Does a slash written as %2F stay inside its parameter?",
    experiments=(
        *(
            Experiment(
                "aiohttp", f"route {route}, GET {target}", partial(ask_aiohttp, route, target)
            )
            for route in AIOHTTP
            for target in TARGETS
        ),
        *(
            Experiment(
                "quart-hypercorn", f"route {route}, GET {target}", partial(ask_quart, route, target)
            )
            for route in QUART
            for target in TARGETS
        ),
    ),
    follows={
        "404": "The path is split after it has been decoded, so that such a name has no route: "
        "use a converter that takes slashes, or pass the name in the query.",
    },
)
