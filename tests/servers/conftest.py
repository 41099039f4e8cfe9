"""Servers in this process's main thread, whose loop stands still between the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, TypeVar

import pytest

from loopbench.servers.lifecycle import in_loop
from loopbench.servers.lifecycle.in_loop import Server
from loopbench.servers.lifecycle.runner import LOOPS
from loopbench.servers.probe import probe
from loopbench.servers.probe.probe import Probe
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import STACKS
from tests.servers.choices import KINDS, here, stacks
from tests.servers.processes import Private, nothing_left, private_stack

T = TypeVar("T")

SETTINGS = Settings(wait_ms=1, executor_threads=4)
"""Of all servers in a Lab."""


class Lab:
    """One event loop, and one server of each stack that was asked for.

    On few threads, whose numbers are equally long.
    """

    def __init__(self, runner: asyncio.Runner, threads: ThreadPoolExecutor) -> None:
        self._runner = runner
        runner.get_loop().set_default_executor(threads)
        self._servers: dict[str, Server] = {}

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, while the servers serve."""
        return self._runner.run(coroutine)

    def server(self, name: str) -> Server:
        """The server of this stack, started when it is first asked for."""
        if name not in self._servers:
            self._servers[name] = self.run(in_loop.start(name, settings=SETTINGS))
        return self._servers[name]

    def stop(self) -> None:
        for server in self._servers.values():
            self.run(server.stop())


def _runner(kind: str) -> asyncio.Runner:
    return asyncio.Runner(debug=False, loop_factory=lambda: LOOPS[kind](None))


@pytest.fixture(scope="session")
def labs() -> Iterator[Callable[[str], Lab]]:
    """The Lab on each kind of loop, made when it is first asked for."""
    with ExitStack() as cleanup:
        made: dict[str, Lab] = {}

        def lab(kind: str) -> Lab:
            if kind not in made:
                threads = ThreadPoolExecutor(SETTINGS.executor_threads, "lab")
                made[kind] = Lab(cleanup.enter_context(_runner(kind)), threads)
                cleanup.callback(made[kind].stop)
            return made[kind]

        yield lab


@pytest.fixture(params=stacks(STACKS))
def stack_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def loop_kind(request: pytest.FixtureRequest) -> str:
    """The loop of the stack that a test is about; asyncio's where it is about none."""
    names = [name for name in ("stack_name", "slow_stack") if name in request.fixturenames]
    return STACKS[request.getfixturevalue(names[0])].loop if names else "asyncio"


@pytest.fixture
def lab(labs: Callable[[str], Lab], loop_kind: str) -> Lab:
    """The Lab on the loop that the test's stack is meant for."""
    return labs(loop_kind)


@pytest.fixture
def server(lab: Lab, stack_name: str) -> Server:
    """A running server of each stack, shared by the tests that only send requests."""
    return lab.server(stack_name)


@pytest.fixture(params=stacks(KINDS))
def slow_stack(request: pytest.FixtureRequest) -> str:
    """As `stack_name`, of the stacks that stand for the others."""
    name: str = request.param
    return name


@pytest.fixture
def run(loop_kind: str) -> Iterator[Callable[[Coroutine[Any, Any, None]], None]]:
    """Run a coroutine in a loop of its own, as the tests of starting and stopping do."""
    with _runner(loop_kind) as runner:
        runner.run(_listen_once())
        yield runner.run


async def _listen_once() -> None:
    """uvloop opens one more descriptor for its first listener, and keeps it: before any test
    that counts them."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    server.close()
    await server.wait_closed()


@pytest.fixture(scope="session", autouse=True)
def _kept_for_life() -> None:
    """granian opens two descriptors when it is first used, and keeps them: before any test
    that counts descriptors."""

    async def once() -> None:
        for name in here(["asgi-granian"]):
            async with in_loop.serving(name):
                pass

    asyncio.run(once())


@pytest.fixture
def live() -> Iterator[Probe]:
    """A Probe that is on in this process."""
    with probe.watching() as one:
        yield one


@pytest.fixture
def clean() -> Iterator[None]:
    """No test leaves anything behind."""
    with nothing_left():
        yield


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> Private:
    """The stack `private` and what puts it into a child, see lifecycle/private_stacks.py."""
    return private_stack(monkeypatch)
