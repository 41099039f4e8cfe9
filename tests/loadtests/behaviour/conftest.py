"""One nursery for all the questions of a module of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loopbench.loadtests.behaviour.framework.process import Nursery, nursery


@pytest.fixture(scope="module")
def asker() -> Iterator[Nursery]:
    """Asks experiments, each in a process of its own."""
    with nursery() as ready:
        yield ready
