"""A bench from end to end through its command line, and what a person may type wrongly."""

from __future__ import annotations

import csv
import json
import os
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from loopbench.loadtests.hosts.awake import DEVICE
from loopbench.loadtests.scenarios.table import SCENARIOS, Open
from loopbench.results.schema import FAILURES, HISTOGRAMS, RUNS, TABLES, read_table
from tests.forked import Program
from tests.loadtests.bench.benches import ONE_CELL, SHORT, Bench, Ended, ended, one_error, plan_runs
from tests.servers.processes import ROOT

STACKS = ("aiohttp", "quart-hypercorn")
OFFERED = ("async-1", "open-low")
CELLS = [part for stack in STACKS for part in ("--stack", stack)] + [
    part for scenario in OFFERED for part in ("--scenario", scenario)
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Two stacks, two scenarios, one Round."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with Bench(folder, *CELLS, "--rounds", "1", *SHORT) as bench:
        return ended(bench)


def test_a_bench_ends_well(finished: Ended) -> None:
    """Exit status 0, every file in place, a line for each Run, nothing left behind."""
    assert finished.status == 0, finished.errors
    present = {path.name for path in finished.bench.folder.iterdir()}
    assert present >= {table.filename for table in TABLES} | {"environment.json", "plan.json"}
    for number, run in enumerate(plan_runs(tuple(product(STACKS, OFFERED)), 1, 7), start=1):
        assert f"[{number}/4] {run.run_id}" in finished.errors


def test_a_bench_that_ends_by_its_budget_names_it(tmp_path: Path) -> None:
    """Not even the second of 400 Rounds fits into a second, and on a busy machine not the first."""
    arguments = (*ONE_CELL, *SHORT, "--rounds", "400", "--budget", "1s")
    with Bench(tmp_path / "run", *arguments) as bench:
        bench.ended()
        printed = " ".join((bench.printed + bench.errors).split())
    said = re.search(r"(\d+) of 400 planned Runs (?:is|are) here; (.*)", printed)
    assert said is not None, printed
    assert int(said[1]) == len(bench.rows()) < 400
    ending = "the bench ended by its budget of 1 s, was cut short, or rows were left out"
    assert said[2].startswith(ending)


def test_cells_come_in_the_order_of_the_recorded_seed(finished: Ended) -> None:
    """The rows' order is the plan's, which the seed alone gives."""
    plan = json.loads((finished.bench.folder / "plan.json").read_text())
    planned = plan_runs(
        tuple(product(plan["stacks"], plan["scenarios"])), plan["rounds"], plan["seed"]
    )
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
        model = SCENARIOS[row["scenario"]].loads[0].model
        rate_rps = model.rate_rps if isinstance(model, Open) else None
        assert row["arrival_rate_rps"] == rate_rps


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
    assert described["machine"]["kept_awake"] == os.access(DEVICE, os.W_OK)
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
    assert "holds a run already; go on with it by --resume" in one_error(again.errors)
    assert (finished.bench.folder / RUNS.filename).read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--stack", "aiohtp"), "unknown stack 'aiohtp'; did you mean aiohttp?\n"),
        (("--scenario", "async32"), "unknown scenario 'async32'; did you mean async-32?\n"),
        (("--stack", "zzz"), "unknown stack 'zzz'; known are aiohttp, quart-hypercorn, asyncio, "),
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
def test_nonsense_is_refused_with_one_line(
    arguments: tuple[str, ...], says: str, loadtests: Program
) -> None:
    """Exit status 2, a line with the cause, and nothing is begun."""
    done = loadtests.run("bench", *arguments)
    assert done.status == 2
    assert says in done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_a_file_as_the_results_folder_is_refused(loadtests: Program, tmp_path: Path) -> None:
    """Exit status 2 for a file, 1 for a place below a file, a line each."""
    file = tmp_path / "file"
    file.write_text("mine")
    done = loadtests.run("bench", "--out", str(file))
    assert done.status == 2
    assert "is a file" in one_error(done.err)
    done = loadtests.run("bench", "--out", str(file / "run"))
    assert done.status == 1
    assert f"cannot write {file / 'run'}: Not a directory" in one_error(done.err)
    assert file.read_text() == "mine"


def test_resuming_what_is_not_there_is_refused(loadtests: Program, tmp_path: Path) -> None:
    """No plan, nothing to go on with, and no folder is made."""
    done = loadtests.run("bench", "--out", str(tmp_path / "run"), "--resume")
    assert done.status == 1
    assert "holds no plan; there is nothing to resume" in one_error(done.err)
    assert not (tmp_path / "run").exists()


def test_resuming_with_other_options_is_refused(loadtests: Program, finished: Ended) -> None:
    """The line names what differs."""
    options = (*CELLS, "--rounds", "2", *SHORT)
    done = loadtests.run("bench", "--out", str(finished.bench.folder), *options, "--resume")
    assert done.status == 1
    assert "was begun otherwise (rounds, runs):" in one_error(done.err)


def test_the_list_names_every_default_scenario(loadtests: Program) -> None:
    """`list` prints each scenario with what it asks, the defaults marked."""
    done = loadtests.run("list")
    assert done.status == 0
    for name in ("async-32", "waiting-1000", "open-high"):
        assert f"* {name}" in done.out


def test_rows_are_plain_csv(finished: Ended) -> None:
    """Any CSV reader gets the same cells, without knowing the schema."""
    with (finished.bench.folder / RUNS.filename).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == [row["run_id"] for row in finished.rows]
    assert {row["killed"] for row in rows} == {"false"}
