"""What takes longest is begun first, as soon as that is known."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from loopbench.loadtests.why.longest_first import LongestFirst


def test_what_is_known_to_take_longest_comes_first() -> None:
    """One worker; while it is kept, five wait. What nobody has timed comes first, in the order in
    which it came; then the kind that took longer, its whole before its half."""
    begun: list[str] = []
    held = Event()

    def work(name: str, takes_s: float) -> None:
        begun.append(name)
        time.sleep(takes_s)

    with ThreadPoolExecutor(1) as pool:
        turns = LongestFirst(pool)
        pool.submit(held.wait)
        waiting = [
            turns.submit(lambda: work("short", 0.0), "short"),
            turns.submit(lambda: work("short again", 0.0), "short"),
            turns.submit(lambda: work("half of long", 0.1), "long", share=0.5),
            turns.submit(lambda: work("long", 0.0), "long"),
            turns.submit(lambda: work("long again", 0.0), "long"),
        ]
        held.set()
        for one in waiting:
            one.result()
    assert begun == ["short", "half of long", "long", "long again", "short again"]


def test_a_failure_is_that_of_its_own_work() -> None:
    """The others are done all the same."""

    def fail() -> None:
        raise ValueError("broken")

    with ThreadPoolExecutor(2) as pool:
        turns = LongestFirst(pool)
        broken, whole = turns.submit(fail, "a"), turns.submit(lambda: 7, "b")
        with pytest.raises(ValueError, match="broken"):
            broken.result()
        assert whole.result() == 7
