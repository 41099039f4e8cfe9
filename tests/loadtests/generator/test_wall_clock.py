"""A generator whose wall clock steps, which stamps its answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loopbench.loadtests.distributed.generator_process import Generator, generator_process
from loopbench.loadtests.messages.generator import WindowOpened
from loopbench.loadtests.messages.specs import BlockSpec, Phase, Target
from tests.faults.surroundings import NotHere, own_clock, set_clock
from tests.loadtests.generator.counting import Counting
from tests.loadtests.generator.loads import closed, offer, opened

STEP_S = 2.0


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that moves the wall clock of processes which are started from now on."""
    try:
        with own_clock(tmp_path) as surroundings:
            for name, value in surroundings.variables.items():
                monkeypatch.setenv(name, value)
            assert surroundings.control is not None
            yield surroundings.control
    except NotHere as why:
        pytest.skip(str(why))


@pytest.fixture
def stepping(clock: Path) -> Iterator[Generator]:
    with generator_process() as process:
        yield process


@contextmanager
def steps(clock: Path) -> Iterator[None]:
    """Meanwhile the clock is set forward again and again, some times in a tenth of a second."""
    done = threading.Event()

    def step() -> None:
        ahead_s = 0.0
        while not done.wait(0.02):
            ahead_s += STEP_S
            set_clock(clock, ahead_s)

    stepper = threading.Thread(target=step)
    stepper.start()
    try:
        yield
    finally:
        done.set()
        stepper.join()


def test_a_slice_is_as_long_as_it_was(clock: Path, stepping: Generator, server: Counting) -> None:
    """From answer to answer no length can be told: it is that of the window."""
    target = Target("one", server.host, server.port, (), closed("/now", 4))
    spec = BlockSpec((target,), (), first_s=5.0, drain_s=5.0, seed=1)
    stepping.open_block(spec, 30.0)
    still = stepping.slice("one", 0.2, Phase.MEASURED, bound_s=30.0)
    with steps(clock):
        made = [stepping.slice("one", 0.2, Phase.MEASURED, bound_s=30.0) for _ in range(3)]
    told = stepping.close_block(30.0)["one"]
    assert still.cycles_s is not None
    assert all(one.cycles_s is None and 0.2 <= one.seconds < STEP_S for one in made)
    assert told.clock_step_ms > 1.0


def there_and_back(clock: Path) -> None:
    set_clock(clock, STEP_S)
    time.sleep(0.1)
    set_clock(clock, 0.0)


def test_a_clock_that_was_set_back_again_was_set(
    clock: Path, stepping: Generator, server: Counting
) -> None:
    """The times that were under way in between are wrong, though both ends agree."""
    timer = threading.Timer(0.4, there_and_back, (clock,))
    load = opened("/now", 100.0, 32)
    report = offer(stepping, server, load, measured_s=1.0, at={WindowOpened: timer.start})
    timer.join()
    assert report.clock_step_ms == pytest.approx(STEP_S * 1e3, rel=0.01)


def test_a_clock_that_is_set_back_again_within_a_slice_was_set(
    clock: Path, stepping: Generator, server: Counting
) -> None:
    """Of a Block, too, whose ends are minutes apart."""
    target = Target("one", server.host, server.port, (), closed("/now", 4))
    spec = BlockSpec((target,), (), first_s=5.0, drain_s=5.0, seed=1)
    stepping.open_block(spec, 30.0)
    stepper = threading.Timer(0.3, there_and_back, (clock,))
    stepper.start()
    stepping.slice("one", 1.0, Phase.MEASURED, bound_s=30.0)
    stepper.join()
    told = stepping.close_block(30.0)["one"]
    assert told.clock_step_ms == pytest.approx(STEP_S * 1e3, rel=0.01)


def test_a_step_is_not_what_piles_up(clock: Path, stepping: Generator, server: Counting) -> None:
    """Of arrivals that are all answered at once, as the clock steps in the middle of the window."""
    timer = threading.Timer(0.6, set_clock, (clock, STEP_S))
    load = opened("/now", 100.0, 32)
    report = offer(stepping, server, load, measured_s=1.0, at={WindowOpened: timer.start})
    growth = report.loads["main"].growth
    assert report.clock_step_ms > 1.0
    assert growth is not None
    assert growth.by_chance
