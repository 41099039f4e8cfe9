"""The other server, whose pages a handler fetches: started beside the one under test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from loopbench.loadtests.hosts.cpus import CpuPlan
from loopbench.loadtests.hosts.server_location import Place
from loopbench.servers.errors import ServerError, StartupFailed
from loopbench.servers.lifecycle.process import ServerProcess
from loopbench.servers.settings import Settings

UPSTREAM_STACK = "asyncio"
"""The raw one: what it costs itself is the least that can be had."""


@contextmanager
def upstream_process(
    wanted: bool, place: Place, cpus: CpuPlan, log: Path | None
) -> Iterator[ServerProcess | None]:
    """Start it where the server under test runs, on the generator's CPUs as far as it is told
    any; None where none is wanted. Raises StartupFailed."""
    if not wanted:
        yield None
        return
    pinned = None if place.via else cpus.generator
    with ExitStack() as cleanup:
        try:
            upstream = cleanup.enter_context(place.server(UPSTREAM_STACK, cpus=pinned, log=log))
        except ServerError as error:
            raise StartupFailed(f"the upstream: {error}") from error
        yield upstream


def with_upstream(settings: Settings, upstream: ServerProcess | None) -> Settings:
    """The settings with the upstream's URL, where there is one."""
    return settings if upstream is None else replace(settings, upstream_url=upstream.url)
