"""Benches whose servers and generators die, whose stacks misbehave, whose machine is small."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopbench.results.schema import FAILURES, TABLES, Code, read_table
from tests.loadtests.bench import strange_stacks
from tests.loadtests.bench.benches import ONE_CELL, SHORT, Bench, Ended, codes, ended, one_error
from tests.servers.processes import needs_proc


@pytest.fixture(scope="module")
def unlucky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """Three Rounds of one Cell, ten Slices each: in the first the server is killed, in the second
    the generator."""
    folder = tmp_path_factory.mktemp("unlucky")
    options = ("--warmup", "0.1", "--duration", "1.0", "--rounds", "3")
    variables = strange_stacks.environment(folder, {3: "server", 6: "generator"})
    with Bench(folder / "run", *ONE_CELL, *options, variables=variables) as bench:
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


@needs_proc
def test_a_generator_that_dies_again_and_again_ends_the_bench(tmp_path: Path) -> None:
    """Three times in a row, before the first Slice of three Rounds: the other Rounds would fare no
    better. The three rows are there, and the line names the log."""
    variables = strange_stacks.environment(tmp_path, dict.fromkeys((1, 2, 3), "generator"))
    options = (*ONE_CELL, *SHORT, "--rounds", "9")
    with Bench(tmp_path / "run", *options, variables=variables) as bench:
        done = ended(bench)
    assert done.status == 1
    assert "the load generator died 3 times in a row" in one_error(done.errors)
    assert str(tmp_path / "run" / "log.txt") in one_error(done.errors)
    assert [Code.GENERATOR_DIED in codes(row) for row in done.rows] == [True] * 3


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


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this platform lacks binding to CPUs"
)
def test_one_cpu_is_enough_with_a_warning(tmp_path: Path) -> None:
    """Server and generator share it; each row says so."""
    cpu = min(os.sched_getaffinity(0))
    with Bench(tmp_path / "run", *ONE_CELL, "--rounds", "1", *SHORT, cpus={cpu}) as bench:
        done = ended(bench)
    assert done.status == 0, done.errors
    (row,) = done.rows
    assert Code.ONE_CPU in codes(row)
    assert row["throughput_rps"] > 0
    pinned = json.loads((tmp_path / "run" / "environment.json").read_text())["pinned"]
    assert pinned == {"server": [cpu], "generator": [cpu]}


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
