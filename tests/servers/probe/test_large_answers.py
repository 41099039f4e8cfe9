"""What encoding a large answer does to the loop, as the probe sees it."""

from __future__ import annotations

import pytest

from loopbench.loadtests.bench.checks import verify
from loopbench.servers.contract.large_cases import case_of
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.probe.readings import Observe, Reset
from loopbench.servers.settings import Settings
from tests.servers.choices import stacks
from tests.servers.probe.probes import known

SMALL, LARGE = "items-16", "items-1m"
TIMES = 3


def _shortest(server: ServerProcess, name: str) -> float:
    """The loop's longest stretch during one request, the shortest of a few: the machine's own
    interruptions only add to it. In ns."""
    found = []
    for _ in range(TIMES):
        server.ask(Reset(instants=False))
        assert verify.problems(server.host, server.port, [case_of(name)]) == []
        found.append(known(server.ask(Observe()).loop.longest_stretch_ns))
    return float(min(found))


@pytest.mark.parametrize("stack_name", stacks(("aiohttp", "quart-hypercorn")))
def test_a_large_answer_holds_the_loop_for_longer(stack_name: str) -> None:
    """A MiB of JSON is a thousand times a KiB: it is made and encoded in one stretch, which is
    many times that of the small one."""
    with server_process(stack_name, settings=Settings(probe=True)) as server:
        assert _shortest(server, LARGE) > 5 * _shortest(server, SMALL)
