"""`--json`: one document a command, of a form that scripts may rely on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click import Group
from click.testing import CliRunner

from loopbench.loadtests.cli import cli as loadtests
from loopbench.loadtests.scenarios.table import DEFAULT_SCENARIOS, SCENARIOS
from loopbench.results.__main__ import cli
from loopbench.results.folder.folder import load
from loopbench.results.schema import BEHAVIOUR, FINDINGS, ROOT, TRIALS, WARNING_SEPARATOR, Row
from loopbench.results.schema.json_forms import FORMS
from loopbench.results.stats.summaries import summary, summary_table
from loopbench.servers.__main__ import cli as servers
from loopbench.servers.stacks import STACKS
from tests.results.commands.json_forms import faults
from tests.results.examples import golden
from tests.results.examples.folders import put
from tests.results.regression import tables
from tests.results.why import cost_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return golden.write(tmp_path / "golden")


def printed(*words: str, of: Group = cli, status: int = 0) -> dict[str, object]:
    """The document of a command, which is of its form."""
    done = CliRunner().invoke(of, [*words, "--json"])
    assert done.exit_code == status, done.output
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    assert faults(document) == []
    return document


def test_show_has_the_rows_of_summary_csv(folder: Path) -> None:
    """The same cells in the same order; Warnings are a list, a blank cell is null."""
    summary_table.write(folder, summary.summarise(load(folder)))
    document = printed("show", folder.name)
    assert document["schema"] == "loopbench.show/1"
    assert (document["reference"], document["yardstick"]) == ("aiohttp", "asyncio")
    with (folder / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = document["summaries"]
    assert isinstance(found, list)
    assert len(found) == len(rows)
    for one, row in zip(found, rows, strict=True):
        assert one.keys() == row.keys()
        assert [one[key] for key in ("stack", "scenario", "load", "metric")] == [
            row[key] for key in ("stack", "scenario", "load", "metric")
        ]
        assert one["warnings"] == ([*filter(None, row["warnings"].split(WARNING_SEPARATOR))])
        assert (one["ratio"] is None) == (row["ratio"] == "")


def test_where_the_report_is_stands_beside_the_document(folder: Path) -> None:
    """With --report, too, standard output holds the document alone; the path is on the other."""
    done = CliRunner().invoke(cli, ["show", folder.name, "--report", "--json"])
    assert (done.exit_code, done.stderr) == (0, f"{folder.name}/report.html\n")
    assert json.loads(done.stdout)["schema"] == "loopbench.show/1"
    assert (folder / "report.html").is_file()


def test_compare_has_a_verdict_a_comparison(folder: Path) -> None:
    """Of a folder with itself every verdict that can be told is "same"."""
    document = printed("compare", folder.name, folder.name)
    assert document["schema"] == "loopbench.compare/1"
    assert document["conditions"] == []
    assert document["only"] == {"first": [], "second": []}
    comparisons = document["comparisons"]
    assert isinstance(comparisons, list)
    assert {one["verdict"] for one in comparisons} == {"same", "cannot tell"}
    assert all(one["ratio"] == 1.0 for one in comparisons if one["verdict"] == "same")


def test_capacity_has_what_was_offered() -> None:
    """Each stack with the rates that it held, and those that it did not hold."""
    document = printed("capacity", "--rps", "1000", str(ROOT / "results" / "reference"))
    assert document["schema"] == "loopbench.capacity/1"
    stacks = document["stacks"]
    assert isinstance(stacks, list)
    assert [one["stack"] for one in stacks] == ["aiohttp", "quart-hypercorn"]
    assert {point["held"] for one in stacks for point in one["offered"]} == {True, False}


def test_limits_have_what_was_searched(folder: Path) -> None:
    """Of a folder with trials: which rates held, and why there is no limit of so few."""
    put(folder, TRIALS, [_trial(500.0, 0), _trial(900.0, 60)])
    document = printed("capacity", folder.name, "--rps", "2000")
    assert document["schema"] == "loopbench.limits/1"
    assert (document["percent"], document["limit_ms"], document["wanted_rps"]) == (99, 20, 2000)
    (stack,) = listed(document, "stacks")
    assert (stack["held_rps"], stack["not_held_rps"], stack["trials"]) == (500, 900, 2)
    assert (stack["rate_rps"], stack["rate_low"], stack["rate_high"]) == (None, None, None)
    assert stack["reason"] == "too few trials"


@pytest.mark.parametrize("asked", [("--slo-ms", "5"), ("--scenario", "open-*")])
def test_limits_are_those_of_the_objective_that_was_searched_for(
    folder: Path, asked: tuple[str, str]
) -> None:
    """Another objective, or other loads, would be passed over in silence."""
    put(folder, TRIALS, [_trial(500.0, 0), _trial(900.0, 60)])
    refused = CliRunner().invoke(cli, ["capacity", folder.name, *asked])
    assert refused.exit_code == 2
    assert "--slo-ms and --scenario are of a bench" in refused.output


def test_limits_of_no_trial_are_an_error(folder: Path) -> None:
    """A search that was stopped before its first trial had ended."""
    put(folder, TRIALS, [])
    done = CliRunner().invoke(cli, ["capacity", folder.name])
    assert done.exit_code != 0
    assert str(done.exception) == "golden: trials.csv holds no trial"


def _trial(rate_rps: float, slow: int) -> Row:
    return {
        "stack": "aiohttp",
        "turn": 1,
        "position": 1,
        "case": "async",
        "arrival_rate_rps": rate_rps,
        "limit_ms": 20.0,
        "allowed_share": 0.01,
        "lead_in_s": 0.2,
        "seconds": 1.0,
        "offered": 500,
        "slow": slow,
        "service_least_us": 1000.0 if slow else None,
        "service_most_us": 1100.0,
        "generator_limited": False,
    }


def listed(document: dict[str, object], name: str) -> list[dict[str, Any]]:
    found = document[name]
    assert isinstance(found, list)
    return found


def test_answers_are_the_rows_of_behaviour_csv() -> None:
    """Each with the columns of the table, in their order."""
    folder = ROOT / "results" / "reference"
    document = printed("behaviour", str(folder))
    with (folder / BEHAVIOUR.filename).open() as file:
        rows = list(csv.DictReader(file))
    found = listed(document, "answers")
    assert [tuple(one) for one in found] == [BEHAVIOUR.names] * len(rows)
    assert [one["answer"] for one in found] == [row["answer"] for row in rows]


@pytest.mark.parametrize("by", ["package", "function", "phase"])
def test_groups_and_phases_add_up_to_the_request(folder: Path, by: str) -> None:
    """On each stack, and to the difference of two where they are laid side by side."""
    cost_folder.write(folder)
    document = printed("why", folder.name, "--by", by, "--between", "slow", "fast")
    totals = {one["stack"]: one["instructions"] for one in listed(document, "totals")}
    for name in ("groups", "phases"):
        sums = dict.fromkeys(totals, 0.0)
        for one in listed(document, name):
            sums[one["stack"]] += one["instructions"]
        assert sums == totals
    sides = ("first_instructions", "second_instructions")
    differences = listed(document, "differences")
    assert [sum(one[side] for one in differences) for side in sides] == [*totals.values()]
    assert not (folder / "why.html").exists()


def test_functions_are_those_of_a_phase(folder: Path) -> None:
    """Without --phase there are none."""
    cost_folder.write(folder)
    assert listed(printed("why", folder.name), "functions") == []
    phases = {str(one["phase"]) for one in listed(printed("why", folder.name), "phases")}
    for phase in phases:
        assert listed(printed("why", folder.name, "--phase", phase), "functions")


def test_a_verdict_has_its_exit_status_and_its_findings(folder: Path) -> None:
    """The rows of regression.csv; what changed is in the headline."""
    plan = tables.Plan(
        count=tables.only(
            tables.times(1.05, "instructions"), side="candidate", stack="aiohttp", route="async"
        )
    )
    tables.write(folder, plan)
    document = printed("regression", folder.name, status=1)
    assert document["exit_status"] == 1
    assert str(document["headline"]).startswith("REGRESSION: aiohttp async")
    with (folder / FINDINGS.filename).open() as file:
        rows = list(csv.DictReader(file))
    assert [one["verdict"] for one in listed(document, "findings")] == [
        row["verdict"] for row in rows
    ]


def test_lists_have_every_stack_and_every_scenario() -> None:
    """By the names that --stack and --scenario take."""
    stacks = listed(printed("list", of=servers), "stacks")
    assert [one["name"] for one in stacks] == list(STACKS)
    assert [one["name"] for one in stacks if one["core"]] == ["aiohttp", "quart-hypercorn"]
    scenarios = listed(printed("list", of=loadtests), "scenarios")
    assert {one["name"] for one in scenarios if one["default"]} == set(DEFAULT_SCENARIOS)
    assert [one["name"] for one in scenarios] == list(SCENARIOS)


def test_a_document_that_is_not_of_its_form_is_told() -> None:
    """A member too many or too few, of another type, null, or below its least value."""
    form = next(form for form in FORMS if form.name == "loopbench.limits/1")
    document: dict[str, object] = {one.name: None for one in form.members}
    document |= {"schema": form.name, "percent": True, "limit_ms": -1, "stacks": [{"x": 1}]}
    found = set(faults(document))
    assert {
        "percent is True, and no number",
        "limit_ms is -1, below 0",
        "case is null",
        "stacks[].x is not described",
        "stacks[].rate_rps is missing",
    } <= found
    assert not any(one.startswith("wanted_rps") for one in found)
