"""Stalls that are seeded in real servers, and what the probe tells of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loopbench.loadtests.hosts.cpus import allowed_cpus, plan_cpus
from loopbench.loadtests.selfcheck import stalls
from loopbench.servers.lifecycle.process import ServerProcess
from tests.servers.processes import needs_proc

pytestmark = needs_proc


@pytest.fixture(scope="module", params=["aiohttp", "hypercorn-uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server whose application stalls on request, on the CPU that a bench would give it."""
    with stalls.seeded_server(request.param, plan_cpus(allowed_cpus()).server) as one:
        yield one


@pytest.mark.parametrize("name", ["sleep", "receive", "look-up"])
def test_a_stall_that_waits_is_told_with_its_cause_and_its_line(
    server: ServerProcess, name: str
) -> None:
    """What waits takes no CPU, so that it is told alike on a busy machine."""
    answer = stalls.seed(server, name)
    assert answer.cause, answer
    assert answer.line is not False, answer


@pytest.mark.alone
@pytest.mark.parametrize("name", ["python", "regex", "dumps", "compress", "thread", "stop"])
def test_a_stall_of_any_other_kind_is_told_with_its_cause_and_its_line(
    server: ServerProcess, name: str
) -> None:
    """Who computes, and who was stopped, is told by when the watcher wakes."""
    answer = stalls.seed(server, name)
    assert answer.cause, answer
    assert answer.line is not False, answer
