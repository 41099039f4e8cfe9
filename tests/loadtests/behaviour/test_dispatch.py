"""Where code runs: turn a setting round, and the answer changes with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loopbench.loadtests.behaviour.applications import SYNC, serve
from loopbench.loadtests.behaviour.dispatch import pools as pool
from loopbench.loadtests.behaviour.dispatch.coroutines import ordered
from loopbench.loadtests.behaviour.framework.process import Nursery
from loopbench.loadtests.behaviour.framework.question import Answer, Key

STACKS = ("aiohttp", "quart-hypercorn")


def threads(key: Key) -> Answer:
    """key: stack, size of the pool, nothing. How many threads there are then."""
    stack, size, _ = key
    return pool.ask_pool(SYNC[stack], int(size))


@pytest.fixture(scope="module")
def pools() -> Iterator[Nursery]:
    with Nursery(threads) as ready:
        yield ready


@pytest.mark.parametrize("stack", STACKS)
def test_the_pool_is_as_large_as_it_is_made(pools: Nursery, stack: str) -> None:
    """Another size than those that are asked about."""
    other = pools.ask((stack, "33", ""), 30.0).answer
    assert other is not None
    assert other.answer == "33 threads, named mine_N"


def test_the_default_size_is_told_as_what_it_is_everywhere() -> None:
    """A count is told by the formula where it is what the formula gives, and only there."""
    size = pool.DEFAULT_SIZE
    assert 5 <= size <= 32
    assert pool.in_words(size) == "min(32, cpus + 4)"
    assert pool.in_words(size + 1) == str(size + 1)


def test_costs_are_told_apart_only_where_they_are_far_apart() -> None:
    """In order, those that are alike together, whatever order they come in."""
    assert ordered({"c": 30.0, "a": 10.0, "b": 20.0}) == "a, then b, then c"
    assert ordered({"b": 12.0, "a": 13.0, "c": 40.0}) == "a and b, then c"
    assert ordered({"b": 10.0, "a": 10.0}) == "a and b"


def test_clients_that_connect_before_they_ask_do_not_hold_up_gunicorn() -> None:
    """Its one worker serves one connection after another, and waits for each client to close."""
    with (
        pool.running(pool.FLASK["flask-gthread"]["gunicorn without options"]) as port,
        pool.connected(port, 3) as wires,
    ):
        replies = pool.all_ask(wires)
        assert [reply.status for reply in replies] == [200, 200, 200]
        assert [wire.left for wire in wires] == [True, True, True]


def ask_twice(key: Key) -> Answer:
    """key: the stack. How many have answered on the same connections, and how many have left."""
    with serve(SYNC[key[0]](lambda: "hello")) as server, pool.connected(server.port, 3) as wires:
        replies = pool.all_ask(wires) + pool.all_ask(wires)
        left = sum(wire.left for wire in wires)
        return Answer(f"{len(replies)} answered, {left} left", "")


@pytest.mark.parametrize("stack", STACKS)
def test_clients_stay_where_the_connection_is_kept(stack: str) -> None:
    """Nobody told them that it closes."""
    with Nursery(ask_twice) as asker:
        outcome = asker.ask((stack, "", ""), 20.0)
    assert outcome.answer is not None, outcome.problem
    assert outcome.answer.answer == "6 answered, 0 left"
