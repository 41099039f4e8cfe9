"""What blocking code does to others: turn a setting round, and the answer changes with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loopbench.loadtests.behaviour.blocking.neighbours import SHARING, ask_innocent, behind
from loopbench.loadtests.behaviour.framework.process import Nursery
from loopbench.loadtests.behaviour.framework.question import Answer, Key

STACKS = ("aiohttp", "quart-hypercorn")


def shared(key: Key) -> Answer:
    """key: stack, size of the pool, nothing. How late the innocent one is that needs a thread."""
    stack, size, _ = key
    return ask_innocent(SHARING[stack], int(size))


@pytest.fixture(scope="module")
def pools() -> Iterator[Nursery]:
    with Nursery(shared) as ready:
        yield ready


@pytest.mark.alone
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(
    ("threads", "answer"),
    [
        ("3", "behind 4 rounds of the pool"),
        ("5", "behind 2 rounds of the pool"),
        ("12", "behind 1 round of the pool"),
        ("13", "not delayed"),
    ],
)
def test_an_innocent_request_that_needs_a_thread_waits_for_one(
    pools: Nursery, stack: str, threads: str, answer: str
) -> None:
    """For as many rounds as twelve take in a pool of that size."""
    outcome = pools.ask((stack, threads, ""), 20.0)
    assert outcome.answer is not None, outcome.problem
    assert outcome.answer.answer == answer


@pytest.mark.parametrize(
    ("done", "threads", "words"),
    [
        (0, None, "not delayed"),
        (12, None, "behind all twelve"),
        (5, None, "behind 5 of the twelve"),
        (0, 6, "not delayed"),
        (6, 6, "behind 1 round of the pool"),
        (7, 6, "behind 2 rounds of the pool"),
    ],
)
def test_lateness_is_told_in_blocks(done: int, threads: int | None, words: str) -> None:
    """Or in rounds of the pool, where that is what was waited for."""
    assert behind(done, threads) == words
