"""Every stack in one bench: what cannot run, and what a stack cannot keep."""

from __future__ import annotations

import json
from pathlib import Path

from loopbench.loadtests.bench.specification import Bench as Plan
from loopbench.loadtests.scenarios.table import SCENARIOS
from loopbench.servers.promises import holes, keeps
from loopbench.servers.stacks import STACKS
from tests.house.test_house import _make
from tests.loadtests.bench import strange_stacks
from tests.loadtests.bench.benches import SHORT, Bench, ended

HOLED = "flask-waitress"


def plan(stacks: tuple[str, ...], scenarios: tuple[str, ...]) -> Plan:
    return Plan(
        stacks=stacks,
        scenarios=scenarios,
        rounds=2,
        warmup_s=0.1,
        measured_s=0.2,
        seed=1,
        folder=Path("nowhere"),
        resume=False,
        probe=True,
        command=(),
    )


def test_what_computes_for_long_is_asked_where_it_is_loaded() -> None:
    """Before any other load a stack answers the rest of its contract."""
    promised = {case.name for case in keeps(STACKS["aiohttp"]).values()}
    short = {f"burn-{where}-{ms}" for where in ("async", "sync") for ms in (0, 1)}
    for scenarios, left in (
        (("async-32",), {"burn-async-50", "burn-sync-50"}),
        (("async-32", "neighbour-burn-sync"), {"burn-async-50"}),
    ):
        asked = {case.name for case in plan(("aiohttp",), scenarios).promised("aiohttp")}
        assert promised - asked == left
        assert short <= asked <= promised


def test_scenarios_about_a_hole_are_no_cells() -> None:
    """Of the whole table exactly those whose cases the stack lacks, with its own reason."""
    everything = plan(tuple(STACKS), tuple(SCENARIOS))
    not_asked = everything.holes()
    # Larger than the contract's, and lacking where those are.
    small = {"upload-multipart-1m": "upload-multipart-1024"}
    small |= {f"fetch-{how}-50": f"fetch-{how}-10" for how in ("gather", "sequence", "threads")}
    cells = set(everything.cells())
    for stack, row in STACKS.items():
        without, kept_out = not_asked.get(stack, {}), holes(row)
        for scenario in SCENARIOS.values():
            cases = {load.case.name for load in scenario.loads}
            larger = small.get(scenario.name) in kept_out
            raw = scenario.name.startswith("upload-") and "upload-1024" in kept_out
            lacks = bool(cases & kept_out.keys()) or larger or raw
            assert (scenario.name in without) == lacks, (stack, scenario.name)
            measured = not lacks and (scenario.yardstick or not row.yardstick)
            assert ((stack, scenario.name) in cells) == measured
    assert everything.to_json()["runs"] == 2 * len(cells)


def test_a_stack_with_holes_is_measured_on_the_rest(tmp_path: Path) -> None:
    """It is held to the cases that it keeps; what is left out is named in the terminal, in
    environment.json and in the report. A stack that cannot run here is named with the remedy."""
    folder = tmp_path / "run"
    options = ("--stack", HOLED, "--stack", "absent", "--scenario", "async-1")
    variables = strange_stacks.environment(tmp_path)
    plain = ("--scenario", "plain-32", "--rounds", "1")
    with Bench(folder, *options, *plain, *SHORT, variables=variables) as bench:
        done = ended(bench)
    (row,) = done.rows
    assert (row["stack"], row["scenario"], row["failures"]) == (HOLED, "plain-32", 0)
    why = holes(STACKS[HOLED])["async"]
    assert f"{HOLED} goes without async-1: {why}" in done.errors
    described = json.loads((folder / "environment.json").read_text())
    assert described["holes"] == {HOLED: {"async-1": why}}
    assert described["left_out"] == {
        "absent": "cannot run here: install loopbench-is-not-installed (`make setup` does)"
    }
    page = (folder / "report.html").read_text()
    assert why in page
    assert "loopbench-is-not-installed" in page
    assert done.status == 1
    assert done.last_line.startswith("error: 1 without figures: absent was left out")


def test_all_brings_the_optional_stacks_in() -> None:
    """`make bench STACKS=all` sets up their packages, and passes the word on."""
    lines = _make("--dry-run", "bench", "STACKS=all").splitlines()
    assert any(line.endswith("sh .ci/setup stacks") for line in lines)
    assert lines[-1].rstrip().endswith("-m loadtests bench --stack 'all'")
