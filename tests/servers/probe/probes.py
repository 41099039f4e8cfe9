"""What the tests of the probe in this process share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from loopbench.servers.probe.executor import WatchedExecutor
from loopbench.servers.probe.probe import Probe


@contextmanager
def watched_loop(live: Probe) -> Iterator[asyncio.Runner]:
    """A loop with an executor, both of which `live` watches."""

    def new_loop() -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(live.new_selector())

    with asyncio.Runner(debug=False, loop_factory=new_loop) as runner:
        loop = runner.get_loop()
        loop.set_default_executor(WatchedExecutor(2, "worker", live.executor))
        with live.attached(loop):
            yield runner


def requests(live: Probe, route: str) -> int:
    return sum(tally.requests for tally in live.observe().routes.get(route, []))


def nothing() -> None:
    """A handler."""


async def nothing_async(request: object = None) -> None:
    """A handler."""


def known(value: int | None) -> int:
    """A reading that must be there."""
    assert value is not None
    return value
