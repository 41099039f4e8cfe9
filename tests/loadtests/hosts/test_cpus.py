"""Which CPUs server and generator get, on machines of several shapes."""

from __future__ import annotations

import os

import pytest

from loopbench.loadtests.hosts import cpus
from loopbench.loadtests.hosts.cpus import CpuPlan, allowed_cpus, plan_cpus, siblings
from loopbench.results.schema import Code


@pytest.fixture
def no_topology(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """A machine that does not say which CPUs share a core."""
    monkeypatch.setattr(cpus, "_TOPOLOGY", f"{tmp_path}/cpu{{cpu}}")


@pytest.mark.usefixtures("no_topology")
def test_two_cpus_are_one_for_each() -> None:
    """Server and generator are apart, and there is nothing to warn of."""
    assert plan_cpus([0, 1]) == CpuPlan(frozenset({1}), frozenset({0}), ())


@pytest.mark.usefixtures("no_topology")
def test_the_last_cpus_are_taken_wherever_they_are() -> None:
    """Only allowed CPUs are used, whatever their numbers."""
    assert plan_cpus([3, 5, 8]) == CpuPlan(frozenset({8}), frozenset({5}), ())


@pytest.mark.usefixtures("no_topology")
@pytest.mark.parametrize(
    ("allowed", "processes", "plan"),
    [
        ([0, 1, 2, 3], 2, CpuPlan(frozenset({2, 3}), frozenset({1}), ())),
        ([0, 1, 2, 3], 3, CpuPlan(frozenset({1, 2, 3}), frozenset({0}), ())),
        ([0, 1, 2, 3], 4, CpuPlan(frozenset({1, 2, 3}), frozenset({0}), (Code.CPUS_SHARED,))),
        ([0, 1], 2, CpuPlan(frozenset({1}), frozenset({0}), (Code.CPUS_SHARED,))),
        ([0], 2, CpuPlan(frozenset({0}), frozenset({0}), (Code.ONE_CPU, Code.CPUS_SHARED))),
    ],
)
def test_each_server_process_has_a_cpu_where_there_are_enough(
    allowed: list[int], processes: int, plan: CpuPlan
) -> None:
    """The generator keeps one to itself; where the rest are too few, every Run says so."""
    assert plan_cpus(allowed, processes) == plan


def test_one_cpu_is_shared_with_a_warning() -> None:
    """Where there is only one, both run on it, and every Run says so."""
    assert plan_cpus([4]) == CpuPlan(frozenset({4}), frozenset({4}), (Code.ONE_CPU,))


def test_without_affinity_nothing_is_pinned() -> None:
    """A system that cannot bind processes is measured unbound, with a Warning."""
    assert plan_cpus(None) == CpuPlan(None, None, (Code.NOT_PINNED,))


@pytest.mark.parametrize(
    ("lists", "server", "generator"),
    [
        # Hyper-threads next to each other: 0-1 and 2-3 are cores.
        (["0-1", "0-1", "2-3", "2-3"], 3, 1),
        # Hyper-threads half the machine apart: 0,2 and 1,3 are cores.
        (["0,2", "1,3", "0,2", "1,3"], 3, 2),
        # One core with four threads: nothing is apart, so any other will do.
        (["0-3", "0-3", "0-3", "0-3"], 3, 2),
    ],
)
def test_different_cores_come_before_different_threads(
    lists: list[str],
    server: int,
    generator: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: object,
) -> None:
    """Two threads of a core slow each other down, so the generator avoids the server's core."""
    for cpu, text in enumerate(lists):
        with open(f"{tmp_path}/cpu{cpu}", "w") as file:
            file.write(f"{text}\n")
    monkeypatch.setattr(cpus, "_TOPOLOGY", f"{tmp_path}/cpu{{cpu}}")
    assert plan_cpus([0, 1, 2, 3]) == CpuPlan(frozenset({server}), frozenset({generator}), ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2\n", {2}), ("2-3\n", {2, 3}), ("2,6\n", {2, 6}), ("0-2,8-9\n", {0, 1, 2, 8, 9})],
)
def test_sibling_lists_are_read(
    text: str, expected: set[int], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """Single numbers, ranges and lists of both, as the kernel writes them."""
    with open(f"{tmp_path}/cpu2", "w") as file:
        file.write(text)
    monkeypatch.setattr(cpus, "_TOPOLOGY", f"{tmp_path}/cpu{{cpu}}")
    assert siblings(2) == expected


@pytest.mark.usefixtures("no_topology")
def test_an_unknown_topology_is_a_core_for_each_cpu() -> None:
    """Without the kernel's list a CPU is its own only sibling."""
    assert siblings(7) == {7}


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this platform lacks binding to CPUs"
)
def test_the_allowed_cpus_are_those_in_force() -> None:
    """What this process may use, ascending, also after that was narrowed."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert allowed_cpus() == [min(before)]
    finally:
        os.sched_setaffinity(0, before)
    assert allowed_cpus() == sorted(before)
