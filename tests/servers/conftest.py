"""Servers in this process's main thread, whose loop stands still between the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from servers import lifecycle, probe
from servers.lifecycle import Server
from servers.probe import Probe
from servers.settings import Settings
from servers.stacks import STACKS

T = TypeVar("T")


class Lab:
    """One event loop, and one server of each stack that was asked for."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._servers: dict[str, Server] = {}

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, while the servers serve."""
        return self._runner.run(coroutine)

    def server(self, name: str) -> Server:
        """The server of this stack, started when it is first asked for."""
        if name not in self._servers:
            self._servers[name] = self.run(lifecycle.start(name, settings=Settings(wait_ms=1)))
        return self._servers[name]

    def stop(self) -> None:
        for server in self._servers.values():
            self.run(server.stop())


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with asyncio.Runner(debug=False) as runner:
        laboratory = Lab(runner)
        try:
            yield laboratory
        finally:
            laboratory.stop()


@pytest.fixture(params=list(STACKS))
def stack_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def server(lab: Lab, stack_name: str) -> Server:
    """A running server of each stack, shared by the tests that only send requests."""
    return lab.server(stack_name)


@pytest.fixture
def run() -> Iterator[Callable[[Coroutine[Any, Any, None]], None]]:
    """Run a coroutine in a loop of its own, as the tests of starting and stopping do."""
    with asyncio.Runner(debug=False) as runner:
        yield runner.run


@pytest.fixture
def live() -> Iterator[Probe]:
    """A Probe that is on in this process."""
    with probe.watching() as one:
        yield one
