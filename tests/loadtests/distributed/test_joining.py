"""Workers that people start: joining, being refused, and going when the master is gone."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest

from loopbench.loadtests.distributed.fleet import Fleet, FleetGenerator, fleet_process
from loopbench.loadtests.errors import GeneratorDied, HarnessError
from loopbench.loadtests.messages.generator import At, WindowOpened
from loopbench.loadtests.messages.workers import LOST_AFTER_S
from loopbench.loadtests.services.free_port import free_port
from tests.loadtests.generator.counting import Counting
from tests.loadtests.generator.loads import begun, closed, spec
from tests.servers.processes import BOUND_S, ROOT, eventually, freeze, needs_proc, needs_waitid
from tests.trees import copy_suite

pytestmark = needs_proc


class Worker:
    """`python -m loadtests worker` of a tree, as a person starts it."""

    def __init__(
        self,
        cleanup: ExitStack,
        folder: Path,
        port: int,
        root: Path = ROOT,
        key_file: Path | None = None,
        patience_s: float = 2.0,
    ) -> None:
        self._errors = folder / f"{uuid.uuid4().hex}.err"
        command = [sys.executable, "-m", "loadtests", "worker", "--patience", str(patience_s)]
        command += [] if key_file is None else ["--key-file", str(key_file)]
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*command, "--master", f"127.0.0.1:{port}"],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stderr=errors,
            )
        cleanup.callback(self.process.wait)
        cleanup.callback(self.process.kill)

    @property
    def last_line(self) -> str:
        words = self._errors.read_text()
        assert "Traceback" not in words
        return words.rstrip().rpartition("\n")[2]


def joined(cleanup: ExitStack, port: int, workers: int, notes: list[str]) -> FleetGenerator:
    fleet = Fleet(workers, f"127.0.0.1:{port}", remote=True)
    return cleanup.enter_context(fleet_process(fleet, cpus=[], log=None, say=notes.append))


def there(made: FleetGenerator) -> list[int]:
    """The pids of its workers; none where not all are there."""
    try:
        return [worker.pid for worker in made.await_workers(0.1)]
    except HarnessError:
        return []


@pytest.fixture
def other_tree(tmp_path: Path) -> Path:
    """A clone of the suite in which one comment differs."""
    tree = copy_suite(tmp_path / "other")
    with (tree / "servers" / "errors.py").open("a") as module:
        module.write("# another version\n")
    return tree


def test_strangers_are_refused(tmp_path: Path, other_tree: Path, server: Counting) -> None:
    """Another version of the suite and a worker too many, each with one line at both ends; those
    that were asked for carry out the load, and end with the master."""
    notes: list[str] = []
    port = free_port()
    with ExitStack() as cleanup:
        other = Worker(cleanup, tmp_path, port, other_tree)
        same = [Worker(cleanup, tmp_path, port) for _ in range(2)]
        with ExitStack() as running:
            made = joined(running, port, 1, notes)
            assert other.process.wait(BOUND_S) == 1
            assert eventually(lambda: any(one.process.poll() is not None for one in same))
            asked = spec(server, closed("/now", 4))
            report = made.load(asked, bound_s=30.0, at={}, give_up=lambda: False)
            made.await_workers(5.0)  # and with it whatever was still to be said
        assert begun(report, "measured") > 0
        assert len(report.workers) == 1
        assert re.search(
            r"^worker: the master refused this worker: it runs \w{12} with Locust [\d.]+ of the "
            r"suite, the master \w{12} with Locust",
            other.last_line,
        )
        assert sorted(one.process.wait(BOUND_S) for one in same) == [0, 1]
        (surplus,) = (one for one in same if one.process.returncode == 1)
        assert surplus.last_line.endswith("the 1 workers that were asked for are there already")
    assert notes[0].startswith("waiting for 1 workers; on each load host: python -m loadtests")
    assert "authentication" not in notes[0]  # nobody else reaches loopback
    assert any(re.search("has joined, 1 of 1$", note) for note in notes)
    assert any(re.search("was refused: it runs", note) for note in notes)


def test_a_worker_leaves_and_a_master_is_killed(tmp_path: Path, server: Counting) -> None:
    """Ctrl-C at a worker in the window: it is named as having left. SIGKILL at the master: the
    worker ends by itself, with one line, when it has heard nothing for its patience."""
    notes: list[str] = []
    port = free_port()
    with ExitStack() as cleanup:
        started = [Worker(cleanup, tmp_path, port) for _ in range(2)]
        workers = {one.process.pid: one for one in started}
        made = joined(cleanup, port, 2, notes)
        first, second = (workers[worker.pid] for worker in made.await_workers(5.0))

        def leave() -> None:
            second.process.send_signal(signal.SIGINT)
            assert second.process.wait(BOUND_S) == 1

        asked = spec(server, closed("/now", 4), measured_s=0.5)
        report = made.load(asked, bound_s=30.0, at={WindowOpened: leave}, give_up=lambda: False)
        assert second.last_line == "worker: interrupted; the master was told"
        kept, lost = report.workers
        assert kept.gone is None and (kept.requests or 0) == begun(report, "measured") > 0
        assert lost.gone == "it has left" and "worker-lost" in (lost.warnings or "")
        os.kill(made.pid, signal.SIGKILL)
        with pytest.raises(GeneratorDied, match="SIGKILL"):
            made.load(asked, bound_s=30.0, at={}, give_up=lambda: False)
        assert first.process.wait(BOUND_S) == 1
        assert re.fullmatch(r"worker: nothing was heard of the master for \d+ s", first.last_line)


def test_a_worker_comes_in_the_place_of_one_that_was_killed(
    tmp_path: Path, server: Counting
) -> None:
    """Nobody has told the master of that one's end, so that it is known as lost only after a while:
    meanwhile the new one asks again and again."""
    notes: list[str] = []
    port = free_port()
    with ExitStack() as cleanup:
        first = Worker(cleanup, tmp_path, port)
        made = joined(cleanup, port, 1, notes)
        first.process.kill()
        second = Worker(cleanup, tmp_path, port, patience_s=3 * LOST_AFTER_S)
        assert eventually(lambda: there(made) == [second.process.pid], bound_s=2 * LOST_AFTER_S)
        report = made.load(
            spec(server, closed("/now", 1)), bound_s=30.0, at={}, give_up=lambda: False
        )
        assert begun(report, "measured") > 0


def test_who_is_refused_during_a_load_is_said(tmp_path: Path, server: Counting) -> None:
    """Each is said once, so that it must not pass unheard while nobody waits for workers."""
    notes: list[str] = []
    port = free_port()
    with ExitStack() as cleanup:
        Worker(cleanup, tmp_path, port)
        made = joined(cleanup, port, 1, notes)
        begin: At = {WindowOpened: lambda: surplus.append(Worker(cleanup, tmp_path, port))}
        surplus: list[Worker] = []
        made.load(
            spec(server, closed("/now", 1), measured_s=60.0),
            bound_s=90.0,
            at=begin,
            give_up=lambda: bool(surplus) and surplus[0].process.poll() is not None,
        )
    assert "worker on" in notes[-1] and "was refused: the 1 workers" in notes[-1]


@needs_waitid
def test_a_worker_that_stood_still_does_not_call_that_its_master_s_silence(
    tmp_path: Path, server: Counting
) -> None:
    """The master's messages of that time wait for it: stopped for longer than its patience, it
    takes part again."""
    port = free_port()
    with ExitStack() as cleanup:
        only = Worker(cleanup, tmp_path, port)
        made = joined(cleanup, port, 1, [])
        freeze(only.process.pid)
        time.sleep(5.0)
        os.kill(only.process.pid, signal.SIGCONT)
        time.sleep(2.0)  # it would have looked by now
        report = made.load(
            spec(server, closed("/now", 1)), bound_s=30.0, at={}, give_up=lambda: False
        )
        assert begun(report, "measured") > 0
        assert only.process.poll() is None


def test_a_master_whose_port_is_taken() -> None:
    """One line with the address."""
    with socket.socket() as taken, ExitStack() as cleanup:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(GeneratorDied, match=rf"cannot listen for .* at 127\.0\.0\.1:{port}: "):
            joined(cleanup, port, 1, [])
