"""Ratios of any two stacks: the same wherever they are told."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from loopbench.results.errors import UnknownName
from loopbench.results.folder.folder import Folder, facts_of, load, only
from loopbench.results.schema import RUNS, SLICES, Row
from loopbench.results.stats.comparisons.framework_split import splits
from loopbench.results.stats.summaries.summary import summarise, summarise_part
from tests.results.examples import folders

STACKS = {"plain": 1000.0, "quick": 1500.0, "slow": 500.0}
LOOPS = {"plain": "asyncio.Loop", "quick": "uvloop.Loop", "slow": "other.Loop"}
METRICS = ("throughput_rps", "cpu_us_per_request")
TURNS = 8
DISTURBED = 0.9
"""What a Run as a whole has of the rate of its Slices, but for the reference by name."""


def _folder(path: Path, *, sliced: bool) -> Folder:
    """Three stacks in three Rounds of five scenarios, which differ by a little from Round to Round.
    Of a Run in Slices these say more than its row does, which holds what disturbed some."""
    runs: list[Row] = []
    slices: list[Row] = []
    for number in (1, 2, 3):
        for place, (stack, rate) in enumerate(STACKS.items()):
            for scenario in range(5):
                name = f"case-{scenario}"
                off = math.exp(0.01 * (scenario + 1) * (number - 2) * place)
                figures: Row = {
                    "throughput_rps": rate * off,
                    "cpu_us_per_request": 1e6 / rate / off,
                }
                share = 1.0 if stack == "plain" or not sliced else DISTURBED ** (number % 2)
                row = folders.run_row(number, stack, name, load_model="closed", users=32, **figures)
                runs.append({**row, "throughput_rps": rate * off * share})
                slices += [_slice(row, turn, figures) for turn in range(1, TURNS + 1)]
    facts = {
        stack: {"framework": "one", "server": "one", "loop": {"class": loop}}
        for stack, loop in LOOPS.items()
    }
    tables = {RUNS: runs} | ({SLICES: slices} if sliced else {})
    return load(folders.write(path, tables, environment={"stacks": facts}))


def _slice(run: Row, turn: int, figures: Row) -> Row:
    return {
        "run_id": run["run_id"],
        "turn": turn,
        "position": 1,
        "watched": False,
        "started_s": float(turn),
        "seconds": 0.1,
        "requests": 100,
        "failures": 0,
        **figures,
    }


@pytest.mark.parametrize("sliced", [True, False])
def test_two_stacks_have_one_ratio_whoever_asks(tmp_path: Path, *, sliced: bool) -> None:
    """That to the reference, by Slices where there are some; in the table of loops, too."""
    folder = _folder(tmp_path / "run", sliced=sliced)
    found = summarise(folder)
    assert found.reference == "plain"
    for to in STACKS:
        wanted = summarise(folder, to)
        for stack in STACKS.keys() - {to}:
            for scenario, name in found.facts:
                cell = (stack, scenario, name)
                for metric in METRICS:
                    summary = wanted.get(cell, metric)
                    assert summary is not None
                    assert summary.ratio is not None
                    ratio = found.between(cell, (to, scenario, name), metric)
                    assert ratio == summary.ratio
    split = next(splits(facts_of(folder), found, found.facts))
    assert (split.pair.base, split.pair.other) == ("plain", "quick")
    told = found.get(split.cells[1], "cpu_us_per_request")
    assert told is not None
    assert split.ratio == told.ratio


def test_the_ratio_between_loads_is_that_of_whole_runs(tmp_path: Path) -> None:
    """A stack in two scenarios has no Turns in common; nothing is over what was not measured."""
    found = summarise(_folder(tmp_path / "run", sliced=True))
    one, other = ("plain", "case-0", "main"), ("plain", "case-1", "main")
    ratio = found.between(one, other, "throughput_rps")
    assert ratio is not None
    assert ratio.to == "plain"
    assert ratio.centre == pytest.approx(1.0)
    assert found.between(one, other, "rss_peak_bytes") is None


@pytest.mark.parametrize("sliced", [True, False])
def test_a_scenario_alone_has_the_ratios_that_it_has_among_all(
    tmp_path: Path, *, sliced: bool
) -> None:
    """What Rounds do is learned from all scenarios, whichever of them are shown."""
    whole = _folder(tmp_path / "run", sliced=sliced)
    every = summarise(whole)
    part = only(whole, ["case-1", "case-2"])
    found = summarise_part(whole, part)
    assert {cell[1] for cell in found.cells} == {"case-1", "case-2"}
    assert found.by == {
        key: one for key, one in every.by.items() if key[0][1] in ("case-1", "case-2")
    }
    assert found.reference == every.reference
    with pytest.raises(UnknownName, match="unknown stack 'quik'; did you mean 'quick'"):
        summarise_part(whole, part, "quik")


def test_the_reference_is_one_that_was_measured_there(tmp_path: Path) -> None:
    """Where the first by name was not."""
    whole = _folder(tmp_path / "run", sliced=False)
    runs = [run for run in whole.runs if (run.stack, run.scenario) != ("plain", "case-1")]
    whole = replace(whole, runs=tuple(runs))
    found = summarise_part(whole, only(whole, ["case-1"]))
    summary = found.get(("slow", "case-1", "main"), "throughput_rps")
    assert found.reference == "quick"
    assert summary is not None
    assert summary.ratio is not None
    assert (summary.ratio.to, round(summary.ratio.centre, 3)) == ("quick", 0.333)
