"""Benches whose servers are several processes, and what is on record of equal terms."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopbench.loadtests.hosts.cpus import allowed_cpus
from loopbench.results.folder import folder as folders
from loopbench.results.report.blocks import Table
from loopbench.results.report.data import gather
from loopbench.results.report.sections.processes import parts
from loopbench.results.schema import OBSERVATIONS, THREADS, Code, read_table
from loopbench.results.stats.summaries.summary import summarise
from loopbench.results.terminal.table import heading
from tests.loadtests.bench import strange_stacks
from tests.loadtests.bench.benches import SHORT, Bench, Ended, codes, ended
from tests.servers.processes import needs_proc

STACKS = ("aiohttp", "asyncio")
OPTIONS = ("--processes", "2", "--scenario", "async-32")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """One Round of two stacks, two processes each."""
    folder = tmp_path_factory.mktemp("pair") / "run"
    named = [word for stack in STACKS for word in ("--stack", stack)]
    with Bench(folder, *named, *OPTIONS, "--rounds", "1", *SHORT) as bench:
        yield ended(bench)


def test_a_run_says_how_many_processes_it_was(pair: Ended) -> None:
    """And warns where they were more than the server's CPUs; a request is not taken apart, as
    nobody knows which process got it."""
    assert pair.status == 0, pair.errors
    assert {row["stack"]: row["processes"] for row in pair.rows} == dict.fromkeys(STACKS, 2)
    cpus = allowed_cpus()
    shared = cpus is not None and len(cpus) < 3
    for row in pair.rows:
        assert (Code.CPUS_SHARED in codes(row)) == shared
        assert row["throughput_rps"] > 0
        assert row["cpu_us_per_request"] > 0
        assert row["before_handler_mean_ms"] is None
    plan = json.loads((pair.bench.folder / "plan.json").read_text())
    assert plan["processes"] == 2


def test_requests_and_threads_are_kept_by_process(pair: Ended) -> None:
    """Two pids a Run, their shares together one."""
    for row in pair.rows:
        observed = [
            one
            for one in read_table(pair.bench.folder, OBSERVATIONS)
            if one["run_id"] == row["run_id"]
        ]
        assert sum(float(one["share"] or 0) for one in observed) == pytest.approx(1, abs=1e-5)
        threads = [
            one for one in read_table(pair.bench.folder, THREADS) if one["run_id"] == row["run_id"]
        ]
        pids = {one["pid"] for one in threads}
        assert len(pids) == (2 if threads else 0)
        assert {one["pid"] for one in observed} <= pids or not threads


def test_the_report_shows_how_they_were_spread(pair: Ended) -> None:
    """A row a Run, and in words what several processes on few CPUs do not show."""
    loaded = folders.load(pair.bench.folder)
    _, spread = parts(gather(loaded, summarise(loaded)))
    assert isinstance(spread, Table)
    assert {(row[1], row[3]) for row in spread.rows} == {(stack, "2") for stack in STACKS}


def test_the_table_says_it_above_all_figures(pair: Ended) -> None:
    """A sum over processes is never mistaken for a figure of one."""
    assert "each server as 2 processes on one port; CPU and memory are their sums" in (
        list(heading(folders.load(pair.bench.folder)))
    )


def test_parity_is_on_record(pair: Ended) -> None:
    """Each difference from the reference with its reason, and no Warning of unequal terms."""
    parity = json.loads((pair.bench.folder / "environment.json").read_text())["parity"]
    assert parity["reference"] == "aiohttp"
    assert {(one["stack"], one["setting"]) for one in parity["differences"]} == {
        ("asyncio", "in_force.http_parser"),
        ("asyncio", "in_force.keep_alive_s"),
    }
    assert all(one["why"] for one in parity["differences"])
    assert not any(Code.UNEQUAL_TERMS in codes(row) for row in pair.rows)


@needs_proc
def test_one_process_that_is_killed_ends_the_run(tmp_path: Path) -> None:
    """The Run has no rate, whatever the other process went on answering."""
    words = ("--stack", "asyncio", "--processes", "2", "--scenario", "async-32")
    times = ("--warmup", "0.1", "--duration", "1.0", "--rounds", "1", "--seed", "7")
    variables = strange_stacks.environment(tmp_path, {3: "server"})
    with Bench(tmp_path / "run", *words, *times, variables=variables) as bench:
        done = ended(bench)
    (row,) = done.rows
    assert Code.SERVER_DIED in codes(row)
    assert row["throughput_rps"] is None
    assert row["exit_code"] == -signal.SIGKILL
    assert done.status == 1
