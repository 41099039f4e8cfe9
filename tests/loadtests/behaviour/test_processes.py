"""Experiments in processes of their own: answered, cut, failing, killed with their harness."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from loopbench.loadtests.behaviour.framework.process import Nursery
from tests.conftest import ROOT
from tests.loadtests.behaviour.strange import misbehave
from tests.servers.processes import eventually

LONG_S = 3600.0
"""Longer than any test: whatever ends before has not been cut."""


def _alive(pid: int) -> bool:
    """A killed process whose parent has not looked yet is not alive."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _hangs(pids: Path) -> tuple[int, int]:
    """Wait until the experiment that hangs does, which is long where much else is run, since all
    questions are imported first: its pid, and that of its child."""
    assert eventually(lambda: pids.exists() and len(pids.read_text().split()) == 2, LONG_S)
    hanging, its_child = map(int, pids.read_text().split())
    return hanging, its_child


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture(scope="module")
def odd() -> Iterator[Nursery]:
    """Asks experiments that do not behave."""
    with Nursery(misbehave) as asker:
        yield asker


def test_an_experiment_answers_from_a_process_of_its_own(odd: Nursery) -> None:
    """What it prints is kept; a thread that it leaves behind keeps nobody waiting."""
    for what in ("answer", "leave a thread"):
        outcome = odd.ask((what, "", ""), LONG_S)
        assert outcome.answer is not None
        assert outcome.answer.answer == "fine"
        assert outcome.problem == ""
        assert outcome.output == f"about to {what}\n"
        assert not outcome.cut


def test_one_that_hangs_is_cut_with_all_its_processes(odd: Nursery, tmp_path: Path) -> None:
    """At its bound, and it says so; a bound that was too short for it to begin is told alike."""
    pids, bound_s = tmp_path / "pids", 1.5
    while not pids.exists() or len(pids.read_text().split()) < 2:
        outcome = odd.ask(("hang", str(pids), ""), bound_s)
        assert outcome.cut
        assert outcome.answer is None
        assert outcome.problem == f"cut after {bound_s:g} s: it had not come to an end"
        bound_s *= 2
    for pid in map(int, pids.read_text().split()):
        assert eventually(lambda pid=pid: not _alive(pid))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("fail", "ValueError: two lines"),
        ("stop", "SystemExit: 2"),
        ("exit", "its process ended without an answer"),
    ],
)
def test_one_that_fails_says_how(odd: Nursery, what: str, problem: str) -> None:
    """In one line; the traceback is in the output."""
    outcome = odd.ask((what, "", ""), LONG_S)
    assert outcome.answer is None
    assert outcome.problem == problem
    assert not outcome.cut
    assert outcome.output.startswith(f"about to {what}\n")


def test_what_is_under_way_ends_with_the_nursery(tmp_path: Path) -> None:
    """As when a person has interrupted it."""
    pids = tmp_path / "pids"
    with Nursery(misbehave) as asker:
        asker.begin(("hang", str(pids), ""), LONG_S)
        both = _hangs(pids)
    for pid in both:
        assert eventually(lambda pid=pid: not _alive(pid))  # type: ignore[misc]


HARNESS = """
import sys
from loopbench.loadtests.behaviour.framework.process import Nursery
from tests.loadtests.behaviour.strange import misbehave
if __name__ == "__main__":
    with Nursery(misbehave) as asker:
        for what in ("hang", "answer"):
            print(asker.ask((what, sys.argv[1], ""), 3600.0))
"""


@contextmanager
def _harness_with_a_hanging_one(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A harness of its own process, and the pid of the experiment that it waits for."""
    pids, script = folder / "pids", folder / "harness.py"
    script.write_text(HARNESS)
    command = [sys.executable, str(script), str(pids)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as harness:
        hanging, its_child = _hangs(pids)
        try:
            yield harness, hanging
            assert eventually(lambda: not _alive(hanging))
        finally:
            with suppress(ProcessLookupError):
                os.kill(its_child, signal.SIGKILL)
            harness.kill()


def test_a_fork_server_that_dies_takes_what_is_under_way_with_it(tmp_path: Path) -> None:
    """Which says so; what is asked next is asked of a new one."""
    with _harness_with_a_hanging_one(tmp_path) as (harness, hanging):
        os.kill(_parent(hanging), signal.SIGKILL)
        out, _ = harness.communicate()
    ended, answered = out.splitlines()
    assert "its process ended without an answer" in ended
    assert "nothing happened" in answered


def test_a_harness_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    """Neither the fork server nor what it has forked."""
    with _harness_with_a_hanging_one(tmp_path) as (harness, hanging):
        server = _parent(hanging)
        harness.kill()
        assert eventually(lambda: not _alive(server))


def test_several_are_under_way_at_once(tmp_path: Path) -> None:
    """Each comes back under its key; a short one does not wait for a long one."""
    pids = tmp_path / "pids"
    long, short = ("hang", str(pids), ""), ("answer", "", "")
    with Nursery(misbehave) as asker:
        asker.begin(long, LONG_S)
        asker.begin(short, LONG_S)
        key, outcome = asker.next()
        assert (key, outcome.problem, outcome.cut) == (short, "", False)
        hanging, its_child = _hangs(pids)
        os.kill(hanging, signal.SIGKILL)
        key, outcome = asker.next()
        assert (key, outcome.cut) == (long, False)
        assert outcome.problem == "its process ended without an answer"
        assert eventually(lambda: not _alive(its_child))


def test_an_experiment_says_how_long_it_waited_for_a_cpu(odd: Nursery) -> None:
    """Where the kernel tells; what is read is never a default."""
    waited_s = odd.ask(("answer", "", ""), LONG_S).waited_s
    assert (waited_s is not None) == Path("/proc/self/task").exists()
    assert waited_s is None or waited_s >= 0
    assert odd.ask(("exit", "", ""), LONG_S).waited_s is None
