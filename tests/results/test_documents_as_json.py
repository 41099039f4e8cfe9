"""`--json`: one document a command, of a form that scripts may rely on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from loopbench.results.__main__ import cli
from loopbench.results.schema import ROOT, WARNING_SEPARATOR
from tests.results import golden


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return golden.write(tmp_path / "golden")


def printed(*words: str) -> dict[str, object]:
    done = CliRunner().invoke(cli, [*words, "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


def test_show_has_the_rows_of_summary_csv(folder: Path) -> None:
    """The same cells in the same order; Warnings are a list, a blank cell is null."""
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
