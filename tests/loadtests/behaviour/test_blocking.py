"""What blocking code does to others: turn a setting round, and the answer changes with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loopbench.loadtests.behaviour.blocking.innocent_neighbour import behind, sharing
from loopbench.loadtests.behaviour.framework.catalogue import experiments
from loopbench.loadtests.behaviour.framework.process import Nursery, nursery
from loopbench.loadtests.behaviour.framework.question import Answer
from tests.loadtests.behaviour.topics import AIOHTTP, QUART

STACKS = (AIOHTTP, QUART)


def shared(key: list[str]) -> Answer:
    """key: stack, size of the pool, nothing. How late the innocent one is that needs a thread."""
    stack, size, _ = key
    return sharing(stack, int(size))()


@pytest.fixture(scope="module")
def pools() -> Iterator[Nursery]:
    with nursery(shared) as ready:
        yield ready


def said(asker: Nursery, question: str, stack: str, setting: str) -> str:
    """Ask one, while nothing else is asked: all of these compare times."""
    key = (f"blocking.{question}", stack, setting)
    outcome = asker.ask(key, experiments()[key].experiment.bound_s)
    assert outcome.answer is not None, outcome.problem
    return outcome.answer.answer


@pytest.mark.parametrize(
    ("stack", "blocking", "threaded"),
    [
        (AIOHTTP, "time.sleep in an async route", "asyncio.to_thread"),
        (
            QUART,
            "time.sleep in an async route",
            "time.sleep in a plain function, which is a sync route",
        ),
        (AIOHTTP, "time.sleep in a plain function", "run_in_executor"),
    ],
)
def test_a_thread_frees_the_innocent_request(
    asker: Nursery, stack: str, blocking: str, threaded: str
) -> None:
    """Behind all twelve on the loop, behind none of them in threads."""
    assert said(asker, "innocent-neighbour", stack, blocking) == "behind all twelve"
    assert said(asker, "innocent-neighbour", stack, threaded) == "not delayed"


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


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("question", ["websocket-push", "stream-push"])
def test_a_loop_that_never_yields_does_so_when_told(
    asker: Nursery, question: str, stack: str
) -> None:
    """`asyncio.sleep(0)` lets the others in."""
    assert said(asker, question, stack, "await asyncio.sleep(0)") == "others are served"


@pytest.mark.parametrize("question", ["websocket-push", "stream-push"])
def test_sending_without_sleeping_starves_others_on_aiohttp(asker: Nursery, question: str) -> None:
    """As long as the client reads, and not where it has stopped: then sending waits."""
    assert said(asker, question, AIOHTTP, "no sleep") == "others starve"
    stopped = "no sleep, a client that has stopped reading"
    assert said(asker, question, AIOHTTP, stopped) == "others are served"


@pytest.mark.alone
@pytest.mark.parametrize(("stack", "where"), [(AIOHTTP, "in a thread"), (QUART, "in a sync route")])
def test_a_thread_lets_others_in_as_far_as_the_lock_does(
    asker: Nursery, stack: str, where: str
) -> None:
    """Not on the loop, not in one long call that keeps the lock; in one that does not, they do."""
    waiting, served = "others wait until it is done", "others are served meanwhile"
    for setting, answer in (
        ("Python code on the loop", waiting),
        (f"Python code {where}", served),
        (f"a long regular expression {where}", waiting),
        (f"hashlib.pbkdf2_hmac {where}", served),
    ):
        assert said(asker, "computing-thread", stack, setting) == answer


def test_a_process_keeps_no_lock_from_the_loop(asker: Nursery) -> None:
    """The same computation in another interpreter."""
    setting = "Python code in a ProcessPoolExecutor"
    assert said(asker, "computing-thread", AIOHTTP, setting) == "others are served meanwhile"
