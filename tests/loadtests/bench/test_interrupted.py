"""Benches that are interrupted, killed, and gone on with."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from loopbench.results.schema import RUNS, TABLES, Code
from loopbench.servers.supervision import own_modules
from tests.loadtests.bench import strange_stacks
from tests.loadtests.bench.benches import ONE_CELL, SHORT, Bench, codes, ended, plan_runs, reach
from tests.servers.processes import eventually, needs_proc

SCENARIOS = ("async-1", "plain-32")


def begun(bench: Bench) -> bool:
    """The first server is there, long before the first Run."""
    return bool(bench.pids("loopbench.servers.lifecycle.child_main"))


def finished_one(bench: Bench) -> bool:
    """The first Run has ended."""
    return "[1/" in bench.errors


def stopping_after_load(bench: Bench) -> bool:
    """The server of the first Run, the second of the bench, is being stopped."""
    return bench.log.count("stopping") == 2


@dataclass(frozen=True)
class Moment:
    """When a bench is interrupted, and the options with which it comes to that."""

    moment: Callable[[Bench], bool]
    options: tuple[str, ...]
    stack: str = "asyncio"
    number: signal.Signals = signal.SIGINT


MOMENTS = {
    "before the first Run": Moment(begun, SHORT),
    "in the lead-in": Moment(Bench.loading, ("--warmup", "60", "--duration", "1")),
    "in the window": Moment(
        Bench.loading, ("--warmup", "0.1", "--duration", "60"), number=signal.SIGTERM
    ),
    "while stopping": Moment(stopping_after_load, SHORT, stack="slow"),
}


@needs_proc
@pytest.mark.parametrize("name", MOMENTS)
def test_an_interrupted_bench_keeps_its_rows_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    """Whenever it comes: exit status 130, one last line, whole tables, no process."""
    case = MOMENTS[name]
    options = ("--stack", case.stack, "--scenario", "async-1", *case.options)
    variables = strange_stacks.environment(tmp_path)
    with Bench(tmp_path / "run", *options, variables=variables) as bench:
        reach(bench, case.moment)
        bench.interrupt(case.number)
        assert bench.ended() == 130, bench.errors
        assert eventually(lambda: bench.left() == set())
        assert "Traceback" not in bench.errors
        last = bench.errors.rstrip().rpartition("\n")[2]
        again = " ".join(own_modules.pasted("loadtests"))
        assert last.startswith(f"interrupted; finished rows are kept; go on with: {again} bench ")
        assert f"--out {tmp_path / 'run'}" in last
        assert last.endswith("--resume")
        for table in TABLES:
            assert (tmp_path / "run" / table.filename).read_bytes().endswith(b"\n")


@needs_proc
def test_a_resumed_bench_measures_exactly_what_is_missing(tmp_path: Path) -> None:
    """Interrupted after its first Run, and while the second one's row was being written: the rows
    are those of the plan, in its order, the finished one untouched; those from what is now another
    environment say so."""
    folder = tmp_path / "run"
    options = ["--stack", "asyncio", "--rounds", "1", *SHORT[:-2]]
    options += [part for scenario in SCENARIOS for part in ("--scenario", scenario)]
    with Bench(folder, *options) as bench:
        reach(bench, finished_one)
        bench.interrupt()
        assert bench.ended() == 130
        assert eventually(lambda: bench.left() == set())
        (done,) = (row["run_id"] for row in bench.rows())
    kept = (folder / RUNS.filename).read_bytes()
    (folder / RUNS.filename).write_bytes(kept + b"01.asyncio.pl")
    described = json.loads((folder / "environment.json").read_text())
    described["packages"]["locust"] = "0.1"
    described["stacks"]["asyncio"]["packages"]["httptools"] = "0.1"
    (folder / "environment.json").write_text(json.dumps(described))
    with Bench(folder, *options, "--resume") as bench:
        resumed = ended(bench)
    assert resumed.status == 0, resumed.errors
    seed = json.loads((folder / "plan.json").read_text())["seed"]
    planned = [run.run_id for run in plan_runs([("asyncio", one) for one in SCENARIOS], 1, seed)]
    assert planned[0] == done
    assert [row["run_id"] for row in resumed.rows] == planned
    assert (folder / RUNS.filename).read_bytes().startswith(kept)
    assert "[1/2]" not in resumed.errors
    assert f"[2/2] {planned[1]}" in resumed.errors
    assert "changed since this folder was begun: packages, asyncio" in resumed.errors
    assert [Code.ENVIRONMENT_DRIFT in codes(row) for row in resumed.rows] == [False, True]


@needs_proc
def test_a_killed_bench_leaves_no_process(tmp_path: Path) -> None:
    """Even a harness that cannot clean up takes server and generator with it."""
    with Bench(tmp_path / "run", *ONE_CELL, "--warmup", "0.1", "--duration", "60") as bench:
        reach(bench, Bench.loading)
        assert len(bench.left()) >= 3
        bench.process.kill()
        assert eventually(lambda: bench.left() == set())


@needs_proc
def test_interrupted_while_the_report_is_made_all_rows_are_there(tmp_path: Path) -> None:
    """The last line says so, and how to make the report; no traceback of its process."""
    with Bench(tmp_path / "run", *ONE_CELL, *SHORT, "--rounds", "1") as bench:
        reach(bench, lambda _: bench.pids("show"))
        bench.interrupt()
        assert bench.ended() == 130
        assert eventually(lambda: bench.left() == set())
        last = bench.errors.splitlines()[-1]
        assert last == (
            "interrupted; all rows are there; the report is made by: "
            f"python -m results show --report --update {tmp_path / 'run'}"
        )
        assert len(bench.rows()) == 1
