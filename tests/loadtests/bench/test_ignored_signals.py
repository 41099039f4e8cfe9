"""A signal that is ignored when a command is started, as under `nohup`, stays ignored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from loopbench.results.schema import RUNS, read_table
from tests.conftest import ROOT
from tests.loadtests.bench.benches import BOUND_S, ONE_CELL, SHORT
from tests.servers.processes import eventually, needs_proc

ALL = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
IGNORING = ("sh", "-c", "trap '' HUP TERM INT; exec \"$@\"", "sh", sys.executable, "-m")


def started(*words: str, **options: object) -> subprocess.Popen[str]:
    """A command in a process group of its own, with all three signals ignored."""
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [*IGNORING, *words], cwd=ROOT, text=True, start_new_session=True, **options
    )


def ignores_all(pid: int) -> bool:
    """By the mask in /proc, see proc_pid_status(5): bit n-1 stands for signal n."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigIgn:")[2].split()[0], 16)
    return all(mask >> (number - 1) & 1 for number in ALL)


@needs_proc
def test_a_bench_goes_on(tmp_path: Path) -> None:
    """All three signals to its whole process group, in the middle: it ends by itself, whole."""
    folder = tmp_path / "run"
    words = ("loadtests", "bench", "--out", str(folder), *ONE_CELL, *SHORT, "--rounds", "2")
    with (tmp_path / "said").open("w") as said, started(*words, stdout=said, stderr=said) as bench:
        try:
            assert eventually(lambda: "[1/2]" in (tmp_path / "said").read_text())
            for number in ALL:
                os.killpg(bench.pid, number)
            assert bench.wait(BOUND_S) == 0, (tmp_path / "said").read_text()
        finally:
            if bench.poll() is None:
                bench.kill()
    assert len(list(read_table(folder, RUNS))) == 2


@needs_proc
def test_a_server_in_the_foreground_goes_on() -> None:
    """It still answers after all three."""
    words = ("servers", "run", "aiohttp", "--port", "0")
    with started(*words, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            for number in ALL:
                os.killpg(server.pid, number)
            time.sleep(0.3)  # a stop would have begun by now
            with urllib.request.urlopen(f"{url}/plain", timeout=10) as answer:
                assert answer.status == 200
            assert ignores_all(server.pid)
        finally:
            server.kill()


@needs_proc
def test_a_worker_goes_on() -> None:
    """One that waits for its master waits on."""
    words = ("loadtests", "worker", "--master", "127.0.0.1:9")
    with started(*words, stderr=subprocess.PIPE) as worker:
        try:
            assert worker.stderr is not None
            assert worker.stderr.readline() == "joining the master at 127.0.0.1:9\n"
            for number in ALL:
                os.killpg(worker.pid, number)
            with pytest.raises(subprocess.TimeoutExpired):
                worker.wait(0.5)
            assert ignores_all(worker.pid)
        finally:
            worker.kill()
