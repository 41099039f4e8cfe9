"""One nursery for all the questions of a module of tests."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import forkserver

import pytest

from loopbench.loadtests.behaviour.framework.process import Nursery


@pytest.fixture(scope="session", autouse=True)
def fork_server_of_this_process() -> None:
    """Python starts it with the first experiment, and it lives as long as this process: no test
    leaves it, whichever comes first."""
    forkserver.ensure_running()


@pytest.fixture(scope="module")
def asker() -> Iterator[Nursery]:
    """Asks experiments, each in a process of its own."""
    with Nursery() as ready:
        yield ready
