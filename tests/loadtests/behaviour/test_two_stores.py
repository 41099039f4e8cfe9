"""Pairs that are half-written where clients leave, and where the protection forbids it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loopbench.loadtests.behaviour.disconnect.stores import SERVERS, SETTINGS, count
from loopbench.loadtests.behaviour.framework.catalogue import experiments
from loopbench.servers.contract.data_cases import BOTH_PROTECTIONS
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from tests.servers.choices import stacks

CLIENTS = 200
CANCELS = {"aiohttp": False, "quart-hypercorn": True}
"""Whether the stack, as it is measured, cancels the handler of a client that has left."""

HALVES = {"none": True, "shield": True, "both": False, "task": False}
"""Whether a protection allows half a pair where handlers are cancelled."""


@pytest.fixture(scope="module", params=stacks(CANCELS))
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """One a stack, on the embedded stores."""
    with server_process(request.param, settings=SETTINGS) as running:
        yield running


@pytest.mark.parametrize("protect", BOTH_PROTECTIONS)
def test_pairs_that_are_half_written(server: ServerProcess, protect: str) -> None:
    """Some where handlers are cancelled and the protection allows it; none otherwise, though
    clients leave all the same."""
    found = count(server.port, protect, CLIENTS)
    assert found.answered < CLIENTS, "nobody has left early"
    assert bool(found.half) == (CANCELS[server.stack.name] and HALVES[protect]), found.line
    assert found.half >= abs(found.first - found.second)


def test_each_stack_and_protection_is_asked() -> None:
    """On the embedded stores one by one, on Redis and PostgreSQL all together."""
    asked = [key for key in experiments() if key[0] == "disconnect.two-stores"]
    settings = [(stack, setting) for _, stack, setting in asked]
    assert len(settings) == (len(BOTH_PROTECTIONS) + 1) * len(SERVERS)
    for stack, setting, _ in SERVERS:
        for what in (*(f"protect={one}" for one in BOTH_PROTECTIONS), "Redis and PostgreSQL"):
            assert (stack, f"{setting}{what}") in settings
