"""Benches whose servers run under their own managers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from loopbench.results.folder import folder as folders
from loopbench.results.report.blocks import Table
from loopbench.results.report.data import gather
from loopbench.results.report.sections.processes import parts
from loopbench.results.schema import OBSERVATIONS, THREADS, Code, read_table
from loopbench.results.stats.summaries.summary import summarise
from loopbench.results.terminal.table import heading
from loopbench.servers.managers.table import available
from loopbench.servers.stacks import STACKS
from tests.forked import Program
from tests.loadtests.bench import strange_stacks
from tests.loadtests.bench.benches import Bench, Ended, codes, ended, one_error
from tests.servers.processes import needs_proc

STACK = "quart-hypercorn"
OPTIONS = ("--processes", "2", "--manager", "own", "--scenario", "async-32", "--rounds", "1")
TIMES = ("--warmup", "0.1", "--duration", "1.0", "--seed", "7")
OBSTACLE = available(STACKS["aiohttp"])
pytestmark = [needs_proc, pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE))]


@dataclass(frozen=True)
class Managed:
    """A bench that has ended, and which worker was killed in it."""

    done: Ended
    victim: int


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    """One Round of two stacks under their managers, in one of which a worker is killed under
    load, and of the yardstick, which has no manager."""
    folder = tmp_path_factory.mktemp("managed")
    stacks = [word for name in (STACK, "aiohttp", "asyncio") for word in ("--stack", name)]
    variables = strange_stacks.environment(folder, {4: "worker"})
    with Bench(folder / "run", *stacks, *OPTIONS, *TIMES, variables=variables) as bench:
        done = ended(bench)
        yield Managed(done, int((folder / strange_stacks.KILLED).read_text()))


def row_of(managed: Managed, stack: str) -> dict[str, Any]:
    (row,) = (row for row in managed.done.rows if row["stack"] == stack)
    return row


def test_what_has_no_manager_is_left_out_by_name(managed: Managed) -> None:
    """With the reason, in the environment and in words."""
    why = "cannot run here: no manager of its server's own: the yardstick is one process"
    environment = json.loads((managed.done.bench.folder / "environment.json").read_text())
    assert environment["left_out"] == {"asyncio": why}
    assert f"asyncio was left out: {why}" in managed.done.errors
    assert managed.done.status == 1


def test_a_worker_that_is_replaced_ends_the_run(managed: Managed) -> None:
    """gunicorn starts another one, and the server goes on answering: the Run has no rate."""
    row = row_of(managed, "aiohttp")
    assert Code.SERVER_DIED in codes(row)
    assert row["throughput_rps"] is None
    assert (
        f"died under load: worker {managed.victim} of gunicorn with aiohttp's worker ended by "
        "itself"
    ) in managed.done.errors


def test_a_run_under_a_manager_has_its_figures(managed: Managed) -> None:
    """The plan and what the server says of itself tell whose the workers are."""
    row = row_of(managed, STACK)
    assert (row["stack"], row["processes"], row["exit_code"]) == (STACK, 2, 0)
    assert row["throughput_rps"] > 0
    assert row["cpu_us_per_request"] > 0
    assert row["failures"] == 0
    assert row["before_handler_mean_ms"] is None
    assert not codes(row) & {Code.UNEQUAL_TERMS, Code.SERVER_DIED, Code.SERVER_NOT_READABLE}
    assert json.loads((managed.done.bench.folder / "plan.json").read_text())["manager"] == "own"
    environment = json.loads((managed.done.bench.folder / "environment.json").read_text())
    assert environment["stacks"][STACK]["manager"] == {
        "name": "Hypercorn's workers",
        "workers": 2,
    }


def test_workers_and_manager_are_kept_apart_by_pid(managed: Managed) -> None:
    """Requests are those of workers; threads are those of the manager, too."""
    run_id = row_of(managed, STACK)["run_id"]
    observed = [
        one
        for one in read_table(managed.done.bench.folder, OBSERVATIONS)
        if one["run_id"] == run_id
    ]
    assert sum(float(one["share"] or 0) for one in observed) == pytest.approx(1, abs=1e-5)
    threads = [
        one for one in read_table(managed.done.bench.folder, THREADS) if one["run_id"] == run_id
    ]
    if threads:
        above = {one["pid"] for one in threads if str(one["thread"]).startswith("manager: ")}
        workers = {one["pid"] for one in threads} - above
        assert (len(above), len(workers)) == (1, 2)
        assert {one["pid"] for one in observed} <= workers


def test_table_and_report_say_whose_processes_they_are(managed: Managed) -> None:
    """A sum over a manager and its workers is never mistaken for another."""
    loaded = folders.load(managed.done.bench.folder)
    assert (
        "each server as 2 workers of its own manager; CPU and memory are sums over the workers "
        "and the manager"
    ) in list(heading(loaded))
    told, spread = parts(gather(loaded, summarise(loaded)))
    assert "workers of their own manager" in str(told)
    assert isinstance(spread, Table)
    assert (STACK, "2") in {(row[1], row[3]) for row in spread.rows}


def test_a_manager_elsewhere_is_refused(loadtests: Program) -> None:
    """Exit status 2."""
    elsewhere = ("--server-via", "env", "--server-host", "127.0.0.1")
    done = loadtests.run("bench", "--manager", "own", *elsewhere)
    assert done.status == 2
    assert "--manager own keeps servers on this machine only" in one_error(done.err)
