"""Middleware and hooks: turn a layer or a setting round, and the order changes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from loopbench.loadtests.behaviour.applications import Build, added
from loopbench.loadtests.behaviour.framework.process import Nursery
from loopbench.loadtests.behaviour.framework.question import Answer, Key
from loopbench.loadtests.behaviour.order.layers import APPS, Layer
from loopbench.loadtests.behaviour.order.sequence import (
    BOTH,
    asgi_middlewares,
    ask_order,
    ask_raising,
    hooks,
    middlewares,
)

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"

OTHER_SETTINGS: dict[str, tuple[Callable[[Build], Answer], str, Layer]] = {
    "list": (ask_order, AIOHTTP, partial(middlewares, names=BOTH[::-1])),
    "hooks": (ask_order, QUART, partial(hooks, names=BOTH[::-1])),
    "wrappers": (ask_order, QUART, partial(asgi_middlewares, names=BOTH[::-1])),
    "three": (ask_order, AIOHTTP, partial(middlewares, names=("a", "b", "c"))),
    "no layer": (ask_raising, QUART, lambda app: None),
}
"""Experiments as the Questions have them, with something turned round."""


def ask_other(key: Key) -> Answer:
    """Run one of OTHER_SETTINGS, in the process of an experiment."""
    ask, stack, layer = OTHER_SETTINGS[key[0]]
    return ask(partial(added, APPS[stack], layer))


@pytest.fixture(scope="module")
def other() -> Iterator[Nursery]:
    """Asks them."""
    with Nursery(ask_other) as asker:
        yield asker


def _other(asker: Nursery, name: str) -> str:
    outcome = asker.ask((name, "", ""), 20.0)
    assert outcome.answer is not None, outcome.problem
    return outcome.answer.answer


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("list", "second in, first in, handler, first out, second out"),
        ("hooks", "second in, first in, handler, first out, second out"),
        ("wrappers", "first in, second in, handler, second out, first out"),
        ("three", "a in, b in, c in, handler, c out, b out, a out"),
        ("no layer", "200"),
    ],
)
def test_layers_registered_in_another_order_run_in_another(
    other: Nursery, name: str, answer: str
) -> None:
    """The first of a list is the outermost; of wrappers it is the last."""
    assert _other(other, name) == answer
