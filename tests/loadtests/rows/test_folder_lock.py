"""One writer a folder: whoever comes second is refused in one line, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.rows.results_folder import writing_into
from loopbench.results.schema import FolderInUse, locked
from tests.conftest import ROOT
from tests.forked import Program, program
from tests.loadtests.bench.benches import ONE_CELL, SHORT, Bench, ended, one_error, reach
from tests.servers.processes import eventually, needs_proc

HOLDER = """
import sys, time
from pathlib import Path
from loopbench.results.schema import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def programs(loadtests: Program) -> Iterator[dict[str, Program]]:
    """Both halves, by module."""
    with program("results") as results:
        yield {"loadtests": loadtests, "results": results}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@needs_proc
def test_two_benches_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second is refused with the pid of the first; the first ends with all its rows."""
    folder = tmp_path / "run"
    waiting = ("--stack", "aiohttp", "--scenario", "cliff-1")  # it takes its time, and no CPU
    options = (*waiting, "--warmup", "0.1", "--duration", "3", "--seed", "7", "--rounds", "3")
    with Bench(folder, *options) as first:
        reach(first, lambda _: (folder / "plan.json").exists())
        with Bench(folder, *options, "--resume") as second:
            outcome = ended(second)
        assert outcome.status == 1
        assert one_error(outcome.errors) == (
            f"error: process {first.process.pid} is writing into {folder}; wait for its end, "
            "or name another place"
        )
        whole = ended(first)
    assert whole.status == 0, whole.errors
    assert len(whole.rows) == 3


COMMANDS = {
    "bench": ("loadtests", "bench", *ONE_CELL, "--out"),
    "behaviour": ("loadtests", "behaviour", "disconnect.plain-await", "--out"),
    "instructions": ("loadtests", "instructions", "--out"),
    "probe-cost": ("loadtests", "probe-cost", "--out"),
    "regression": ("loadtests", "regression", "--layer", "facts", "--out"),
    "regression-selftest": ("loadtests", "regression-selftest", "--out"),
    "pack": ("results", "pack"),
}


@needs_proc
@pytest.mark.parametrize("command", COMMANDS)
def test_every_writing_command_keeps_out_of_a_folder_in_use(
    command: str, programs: dict[str, Program], tmp_path: Path
) -> None:
    """One line that names the process, at once, and the folder is as before."""
    module, *words = COMMANDS[command]
    (tmp_path / "histograms.csv").write_text("run_id\n")
    (tmp_path / "runs.csv").write_text("run_id\n")
    before = contents(tmp_path)
    with locked(tmp_path):
        done = programs[module].run(*words, str(tmp_path))
    assert done.status in (1, 3), done
    assert one_error(done.err).startswith(
        f"error: process {os.getpid()} is writing into {tmp_path}; "
    )
    assert contents(tmp_path) == before


@needs_proc
def test_a_killed_owner_leaves_no_lock(tmp_path: Path) -> None:
    """The kernel takes the lock away with its owner, and no file stays behind."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderInUse, match=f"^process {holder.pid} is writing into"):
            with locked(tmp_path):
                pass
        holder.send_signal(signal.SIGKILL)
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@needs_proc
def test_a_killed_bench_can_be_gone_on_with_at_once(tmp_path: Path) -> None:
    """None of its children holds the folder after it."""
    folder = tmp_path / "run"
    with Bench(folder, *ONE_CELL, *SHORT, "--rounds", "3") as bench:
        reach(bench, Bench.loading)
        bench.process.kill()
        bench.process.wait()
        with locked(folder):
            pass
        assert eventually(lambda: bench.left() == set())
    with Bench(folder, *ONE_CELL, *SHORT, "--rounds", "3", "--resume") as again:
        whole = ended(again)
    assert whole.status == 0, whole.errors
    assert len(whole.rows) == 3


def test_a_place_that_is_no_folder_is_one_line(tmp_path: Path) -> None:
    """A file in the way is named, with what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match=r"cannot write .*file: File exists; .*--out"):
        with writing_into(tmp_path / "file"):
            pass
