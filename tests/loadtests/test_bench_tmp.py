"""A bench from end to end through its command line: good days and bad ones."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadtests.plan import plan_runs
from results.schema import FAILURES, HISTOGRAMS, RUNS, TABLES, Code, read_table
from tests.loadtests import strange_stacks
from tests.loadtests.benches import SHORT, Bench, reach
from tests.servers.processes import ROOT, eventually, needs_proc

STACKS = ("aiohttp", "asyncio")
SCENARIOS = ("async-1", "open-low")
CELLS = [part for stack in STACKS for part in ("--stack", stack)] + [
    part for scenario in SCENARIOS for part in ("--scenario", scenario)
]
ONE_CELL = ("--stack", "asyncio", "--scenario", "async-1")


@dataclass(frozen=True)
class Ended:
    """A bench that has ended by itself."""

    status: int
    errors: str
    bench: Bench

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.bench.rows()

    @property
    def last_line(self) -> str:
        return self.errors.rstrip().rpartition("\n")[2]


def ended(bench: Bench) -> Ended:
    status = bench.ended()
    assert "Traceback" not in bench.errors
    assert bench.left() == set()
    return Ended(status, bench.errors, bench)


def codes(row: dict[str, Any]) -> set[str]:
    return set(filter(None, (row["warnings"] or "").split(";")))


# Good days.


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Two stacks, two scenarios, one Round."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with Bench(folder, *CELLS, "--rounds", "1", *SHORT) as bench:
        return ended(bench)


def test_a_bench_ends_well(finished: Ended) -> None:
    """Exit status 0, every file in place, a line for each Run, nothing left behind."""
    assert finished.status in (0, 1), finished.errors
    present = {path.name for path in finished.bench.folder.iterdir()}
    assert present >= {table.filename for table in TABLES} | {"environment.json", "plan.json"}
    for number, run in enumerate(plan_runs(STACKS, SCENARIOS, 1, 7), start=1):
        assert f"[{number}/4] {run.run_id}" in finished.errors


def test_cells_come_in_the_order_of_the_recorded_seed(finished: Ended) -> None:
    """The rows' order is the plan's, which the seed alone gives."""
    plan = json.loads((finished.bench.folder / "plan.json").read_text())
    planned = plan_runs(plan["stacks"], plan["scenarios"], plan["rounds"], plan["seed"])
    assert plan["seed"] == 7
    assert [row["run_id"] for row in finished.rows] == [run.run_id for run in planned]
    assert [row["position"] for row in finished.rows] == [1, 2, 3, 4]
    began = [row["started_at"] for row in finished.rows]
    assert began == sorted(began)


def test_every_row_has_its_figures(finished: Ended) -> None:
    """No blank among what every whole Run measures, and figures that agree with each other."""
    optional = {"arrival_rate_rps", "send_lag_p99_ms", "warnings"}
    always = [
        *("warmup_s", "measured_s", "requests", "failures", "throughput_rps", "clock"),
        *(f"{what}_time_{how}_ms" for what in ("service", "response") for how in ("p50", "max")),
        *("cpu_us_per_request", "server_cpu_utilisation", "generator_cpu_utilisation"),
        *("generator_lag_p99_ms", "start_ms", "first_answer_ms", "stop_ms", "exit_code"),
        *("killed", "calibration_ms", "rss_peak_bytes"),
    ]
    for row in finished.rows:
        blank = [name for name in always if row[name] is None and name not in optional]
        assert blank == []
        assert row["failures"] == 0
        assert row["requests"] > 0
        assert 0 < row["start_ms"] < row["first_answer_ms"]
        assert (row["exit_code"], row["killed"]) == (0, False)
        assert (
            row["service_time_p50_ms"] <= row["service_time_p99_ms"] <= row["service_time_max_ms"]
        )
        assert (row["load_model"] == "open") == (row["scenario"] == "open-low")
        assert (row["arrival_rate_rps"] == 1000.0) == (row["load_model"] == "open")


def test_histograms_hold_every_request(finished: Ended) -> None:
    """Each Run's service times add up to its requests, its response times too."""
    counted: dict[tuple[Any, Any], int] = {}
    for row in read_table(finished.bench.folder, HISTOGRAMS):
        key = row["run_id"], row["quantity"]
        counted[key] = counted.get(key, 0) + int(row["count"] or 0)
    for row in finished.rows:
        assert counted[row["run_id"], "service_time"] == row["requests"]
        assert counted[row["run_id"], "response_time"] == row["requests"]
        assert counted[row["run_id"], "warmup_service_time"] > 0
        assert counted[row["run_id"], "generator_lag"] > 0
    assert list(read_table(finished.bench.folder, FAILURES)) == []


def test_the_environment_says_what_was_in_force(finished: Ended) -> None:
    """Machine, versions, CPUs and each stack's own facts; no folder of this machine."""
    path = finished.bench.folder / "environment.json"
    described = json.loads(path.read_text())
    assert described["seed"] == 7
    assert set(described["stacks"]) == set(STACKS)
    assert described["left_out"] == {}
    assert described["stacks"]["aiohttp"]["packages"]["aiohttp"]
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    assert described["machine"]["cpus_allowed"] == allowed
    for name in STACKS:
        assert described["stacks"][name]["cpus"] == described["pinned"]["server"]
    if allowed is not None and len(allowed) > 1:
        assert not set(described["pinned"]["server"]) & set(described["pinned"]["generator"])
    assert str(ROOT) not in path.read_text()


def test_a_folder_with_a_run_is_refused(finished: Ended) -> None:
    """The same command again does not touch it."""
    before = (finished.bench.folder / RUNS.filename).read_bytes()
    with Bench(finished.bench.folder, *CELLS, "--rounds", "1", *SHORT) as bench:
        again = ended(bench)
    assert again.status == 1
    assert again.errors.count("\n") == 1
    assert "holds a run already; go on with it by --resume" in again.errors
    assert (finished.bench.folder / RUNS.filename).read_bytes() == before


def test_a_run_without_its_row_is_measured_again(finished: Ended, tmp_path: Path) -> None:
    """Of a folder that lost its last row the last Run alone is measured, though from another
    environment, and says so."""
    folder = tmp_path / "run"
    shutil.copytree(finished.bench.folder, folder)
    table = folder / RUNS.filename
    *kept, lost = table.read_bytes().splitlines(keepends=True)
    table.write_bytes(b"".join(kept) + lost[:20])
    described = json.loads((folder / "environment.json").read_text())
    described["packages"]["locust"] = "0.1"
    described["stacks"]["aiohttp"]["packages"]["aiohttp"] = "0.1"
    (folder / "environment.json").write_text(json.dumps(described))
    with Bench(folder, *CELLS, "--rounds", "1", *SHORT, "--resume") as bench:
        resumed = ended(bench)
    assert resumed.status in (0, 1), resumed.errors
    assert "changed since this folder was begun: packages, aiohttp" in resumed.errors
    assert [row["run_id"] for row in resumed.rows] == [row["run_id"] for row in finished.rows]
    assert table.read_bytes().startswith(b"".join(kept))
    assert [Code.ENVIRONMENT_DRIFT in codes(row) for row in resumed.rows] == [False] * 3 + [True]
    assert "[4/4]" in resumed.errors
    assert "[3/4]" not in resumed.errors


# Interrupted.


def begun(bench: Bench) -> bool:
    """The first server is there, long before the first Run."""
    return bool(bench.pids("servers.child"))


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
    rows: int = 0
    stack: str = "asyncio"
    number: signal.Signals = signal.SIGINT


MOMENTS = {
    "before the first Run": Moment(begun, SHORT),
    "in the lead-in": Moment(Bench.loading, ("--warmup", "60", "--duration", "1")),
    "in the window": Moment(
        Bench.loading, ("--warmup", "0.1", "--duration", "60"), number=signal.SIGTERM
    ),
    "while stopping": Moment(stopping_after_load, SHORT, stack="slow"),
    "between two Runs": Moment(finished_one, (*SHORT, "--rounds", "50"), rows=1),
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
        assert last.startswith("interrupted; finished rows are kept; go on with: ")
        assert f"--out {tmp_path / 'run'}" in last
        assert last.endswith("--resume")
        assert len(bench.rows()) >= case.rows
        for table in TABLES:
            assert (tmp_path / "run" / table.filename).read_bytes().endswith(b"\n")


@needs_proc
def test_a_resumed_bench_measures_exactly_what_is_missing(tmp_path: Path) -> None:
    """Interrupted after its first Run and gone on with by the command that the last line names:
    the rows are those of the plan, in its order, the finished ones untouched."""
    folder = tmp_path / "run"
    scenarios = (*SCENARIOS, "plain-32")
    options = ["--stack", "asyncio", "--rounds", "1", *SHORT[:-2]]
    options += [part for scenario in scenarios for part in ("--scenario", scenario)]
    with Bench(folder, *options) as bench:
        reach(bench, finished_one)
        bench.interrupt()
        assert bench.ended() == 130
        assert eventually(lambda: bench.left() == set())
        kept = (folder / RUNS.filename).read_bytes()
        done = [row["run_id"] for row in bench.rows()]
    seed = json.loads((folder / "plan.json").read_text())["seed"]
    with Bench(folder, *options, "--resume") as bench:
        resumed = ended(bench)
    assert resumed.status in (0, 1), resumed.errors
    planned = [run.run_id for run in plan_runs(("asyncio",), scenarios, 1, seed)]
    assert 1 <= len(done) < 3
    assert [row["run_id"] for row in resumed.rows] == planned
    assert planned[: len(done)] == done
    assert (folder / RUNS.filename).read_bytes().startswith(kept)
    for run_id in done:
        assert f"] {run_id}" not in resumed.errors


@needs_proc
def test_a_killed_bench_leaves_no_process(tmp_path: Path) -> None:
    """Even a harness that cannot clean up takes server and generator with it."""
    with Bench(tmp_path / "run", *ONE_CELL, "--warmup", "0.1", "--duration", "60") as bench:
        reach(bench, Bench.loading)
        assert len(bench.left()) >= 3
        bench.process.kill()
        assert eventually(lambda: bench.left() == set())


# Servers and generators that die, stacks that misbehave.


@pytest.fixture(scope="module")
def unlucky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """Three Rounds of one Cell: in the first the server is killed, in the second the generator."""
    folder = tmp_path_factory.mktemp("unlucky") / "run"
    options = ("--warmup", "0.1", "--duration", "1.0", "--rounds", "3")
    with Bench(folder, *ONE_CELL, *options) as bench:
        for number, victim in enumerate(("servers.child", "loadtests.generator")):
            reach(bench, lambda bench, done=number: len(bench.rows()) == done and bench.loading())
            time.sleep(0.3)  # into the window
            for pid in bench.pids(victim):
                os.kill(pid, signal.SIGKILL)
        yield ended(bench)


@needs_proc
def test_a_killed_server_is_a_row_that_says_so(unlucky: Ended) -> None:
    """No rate and no CPU figure of a window cut short; what was counted and how it ended stay."""
    row = unlucky.rows[0]
    assert Code.SERVER_DIED in codes(row)
    assert row["throughput_rps"] is None
    assert row["cpu_us_per_request"] is None
    assert row["requests"] > 0
    assert (row["exit_code"], row["killed"]) == (-signal.SIGKILL, False)
    assert row["measured_s"] < 1.0
    failed = list(read_table(unlucky.bench.folder, FAILURES))
    assert {one["run_id"] for one in failed} == {row["run_id"]}
    assert sum(int(one["count"] or 0) for one in failed) == row["failures"] > 0


@needs_proc
def test_a_killed_generator_is_a_row_that_says_so(unlucky: Ended) -> None:
    """Without figures, since nobody is left to tell them."""
    row = unlucky.rows[1]
    assert codes(row) >= {Code.GENERATOR_DIED}
    assert row["requests"] is None
    assert row["service_time_p50_ms"] is None
    assert row["start_ms"] > 0


@needs_proc
def test_later_runs_go_on(unlucky: Ended) -> None:
    """With a new server and a new generator the next Run is whole; the bench fails in the end,
    with a line each."""
    row = unlucky.rows[2]
    assert not codes(row) & {Code.SERVER_DIED, Code.GENERATOR_DIED, Code.FAILURES}
    assert row["throughput_rps"] > 0
    assert row["exit_code"] == 0
    assert unlucky.status == 1
    assert "[1/3] 01.asyncio.async-1 died under load" in unlucky.errors
    assert "[2/3] 02.asyncio.async-1 lost its load generator" in unlucky.errors
    assert unlucky.last_line.startswith("error: 2 without figures: 01.asyncio.async-1 died")


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Stacks that break the contract or do not start, and a good one among them."""
    folder = tmp_path_factory.mktemp("strange")
    stacks = ("rude", "late", "fickle", "tired", "asyncio")
    options = [part for stack in stacks for part in ("--stack", stack)]
    variables = strange_stacks.environment(folder)
    options += ["--scenario", "async-1", "--rounds", "1", *SHORT]
    with Bench(folder / "run", *options, variables=variables) as bench:
        return ended(bench)


def test_a_stack_that_breaks_the_contract_is_left_out_by_name(strange: Ended) -> None:
    """It is never loaded; the reason names the first case and how many more there are."""
    assert "rude was left out: index (GET /?wait_ms=0): body of 12 bytes" in strange.errors
    described = json.loads((strange.bench.folder / "environment.json").read_text())
    assert set(described["left_out"]) == {"rude", "late"}
    assert " more)" in described["left_out"]["rude"]
    assert not {row["stack"] for row in strange.rows} & {"rude", "late"}


def test_a_stack_that_never_gets_ready_is_left_out_by_name(strange: Ended) -> None:
    """The bound is told, and the others are measured."""
    assert f"late was left out: late was not ready within {strange_stacks.READY_S:g} s" in (
        strange.errors
    )


@pytest.mark.parametrize(
    ("stack", "code", "text"),
    [
        ("fickle", Code.NOT_VERIFIED, "broke the contract and was not loaded"),
        ("tired", Code.SERVER_NOT_READY, "did not become ready"),
    ],
)
def test_a_stack_that_changes_its_mind_has_a_row_without_figures(
    strange: Ended, stack: str, code: Code, text: str
) -> None:
    """Good in the preflight and bad in the Run: the row says why it has no figures."""
    (row,) = (row for row in strange.rows if row["stack"] == stack)
    assert code in codes(row)
    assert row["requests"] is None
    assert row["throughput_rps"] is None
    assert f"01.{stack}.async-1 {text}" in strange.errors


def test_the_good_stack_is_measured_all_the_same(strange: Ended) -> None:
    """Its row is whole; the exit status tells of the others."""
    (row,) = (row for row in strange.rows if row["stack"] == "asyncio")
    assert row["throughput_rps"] > 0
    assert strange.status == 1
    assert strange.last_line.startswith("error: 4 without figures: rude was left out")


# Machines and disks.


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot bind to one CPU here")
def test_one_cpu_is_enough_with_a_warning(tmp_path: Path) -> None:
    """Server and generator share it; each row says so."""
    cpu = min(os.sched_getaffinity(0))
    with Bench(tmp_path / "run", *ONE_CELL, "--rounds", "1", *SHORT, cpus={cpu}) as bench:
        done = ended(bench)
    assert done.status in (0, 1), done.errors
    (row,) = done.rows
    assert Code.ONE_CPU in codes(row)
    assert row["throughput_rps"] > 0
    pinned = json.loads((tmp_path / "run" / "environment.json").read_text())["pinned"]
    assert pinned == {"server": [cpu], "generator": [cpu]}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, of which 64 are free."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=256k", "loopbench-test", str(place)]
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    if subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        (place / "ballast").write_bytes(b"x" * 192 * 1024)
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_ends_the_bench_with_one_line(small_disk: Path) -> None:
    """What was finished stays, what did not fit leaves no half row, and the line says how to go
    on."""
    folder = small_disk / "run"
    options = (*ONE_CELL, "--rounds", "30", *SHORT)
    with Bench(folder, *options, words=small_disk.parent) as bench:
        done = ended(bench)
    assert done.status == 1
    assert "No space left on device" in done.last_line
    assert f"--out {folder} --resume" in done.last_line
    rows = done.rows
    assert len(rows) < 30
    assert f"[{len(rows)}/30]" in done.errors or not rows
    for table in TABLES:
        assert (folder / table.filename).read_bytes().endswith(b"\n")


# What a person types wrongly.


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtests", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--stack", "aiohtp"), "unknown stack 'aiohtp'; did you mean aiohttp?"),
        (("--scenario", "async32"), "unknown scenario 'async32'; did you mean async-32?"),
        (("--stak", "aiohttp"), "No such option '--stak'. Did you mean '--stack'?"),
        (("--rounds", "0"), "'--rounds': 0 is not in the range"),
        (("--rounds", "-1.5"), "'--rounds': '-1.5' is not a valid integer"),
        (("--duration", "nan"), "'--duration': nan is not a number of seconds"),
        (("--duration", "inf"), "'--duration': inf is not in the range"),
        (("--duration", "1e9"), "'--duration': 1000000000.0 is not in the range"),
        (("--warmup", "-1"), "'--warmup': -1.0 is not in the range"),
        (("--seed", "-1"), "'--seed': -1 is not in the range"),
        (("--resume",), "--resume needs --out"),
    ],
)
def test_nonsense_is_refused_with_one_line(arguments: tuple[str, ...], says: str) -> None:
    """Exit status 2, a line with the cause, and nothing is begun."""
    done = command("bench", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_file_as_the_results_folder_is_refused(tmp_path: Path) -> None:
    """Exit status 2 for a file, 1 for a place below a file, a line each."""
    file = tmp_path / "file"
    file.write_text("mine")
    done = command("bench", "--out", str(file))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is a file" in done.stderr
    done = command("bench", "--out", str(file / "run"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"cannot write {file / 'run'}: Not a directory" in done.stderr
    assert file.read_text() == "mine"


def test_resuming_what_is_not_there_is_refused(tmp_path: Path) -> None:
    """No plan, nothing to go on with, and no folder is made."""
    done = command("bench", "--out", str(tmp_path / "run"), "--resume")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "holds no plan; there is nothing to resume" in done.stderr
    assert not (tmp_path / "run").exists()


def test_resuming_with_other_options_is_refused(finished: Ended) -> None:
    """The line names what differs."""
    options = (*CELLS, "--rounds", "2", *SHORT)
    done = command("bench", "--out", str(finished.bench.folder), *options, "--resume")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "was begun with another rounds, runs;" in done.stderr


def test_the_list_names_every_default_scenario() -> None:
    """`list` prints each scenario with what it asks, the defaults marked."""
    done = command("list")
    assert done.returncode == 0
    for name in ("async-32", "waiting-1000", "open-high"):
        assert f"* {name}" in done.stdout


def test_rows_are_plain_csv(finished: Ended) -> None:
    """Any CSV reader gets the same cells, without knowing the schema."""
    with (finished.bench.folder / RUNS.filename).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == [row["run_id"] for row in finished.rows]
    assert {row["killed"] for row in rows} == {"false"}
