"""How a server stops: turn the grace time round, and the answer changes with it.

The settings that the questions ask about wait for a minute and more; here the
same situations meet shorter ones.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import pytest
from aiohttp import web
from hypercorn.config import Config

from loopbench.loadtests.behaviour.framework.catalogue import experiments
from loopbench.loadtests.behaviour.framework.process import Nursery
from loopbench.loadtests.behaviour.stopping import scene
from loopbench.loadtests.behaviour.stopping.scene import GRACE_S, STACKS, when
from tests.loadtests.behaviour.stops import stop

QUART = "quart-hypercorn"


@pytest.fixture(scope="module")
def stopper() -> Iterator[Nursery]:
    with Nursery(stop) as ready:
        yield ready


@pytest.mark.parametrize("stack", STACKS)
def test_a_longer_grace_time_lets_the_request_finish(stopper: Nursery, stack: str) -> None:
    """A request of a second is finished within 5 s, one of three is not within 0.2 s."""
    inside = stopper.ask((stack, "5", "1"), 30.0).answer
    assert inside is not None
    assert inside.answer == "stops with the request, client got 200 with 'done'"
    outside = stopper.ask((stack, "0.2", "3"), 30.0).answer
    assert outside is not None
    if stack == QUART and sys.version_info >= (3, 12):
        # asyncio's Server.wait_closed then waits for every connection, and Hypercorn for it.
        assert outside.answer == "stops with the request, client got 200 with 'done'"
    else:
        assert "finished" not in outside.evidence
        assert "200" not in outside.answer


def test_the_defaults_are_those_of_the_installed_versions() -> None:
    """What the answers are told in terms of."""
    timeout = inspect.signature(web.BaseRunner.__init__).parameters["shutdown_timeout"].default
    assert timeout == GRACE_S["aiohttp"]
    assert Config().graceful_timeout == GRACE_S["quart-hypercorn"]


@pytest.mark.parametrize(
    ("took_s", "words"),
    [
        (0.01, "stops at once"),
        (1.6, "stops with the request"),
        (10.4, "stops after the grace time"),
        (20.9, "stops after twice the grace time"),
        (5.5, "stops after 6 s"),
        (None, f"does not stop within {scene.WATCHED_S:g} s"),
    ],
)
def test_times_are_told_by_what_was_waited_for(took_s: float | None, words: str) -> None:
    """With a request of 1.5 s and a grace time of 10 s; others as they are."""
    assert when(took_s, 1.5, 10.0) == words


def test_no_question_takes_longer_than_it_may() -> None:
    """All of them together have to be done in four minutes, side by side."""
    assert max(one.experiment.bound_s for one in experiments().values()) <= 160
