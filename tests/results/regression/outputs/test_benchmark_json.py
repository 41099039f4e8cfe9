"""What was measured, as github-action-benchmark and pyperf read it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from loopbench.results.regression import evidence, verdict
from loopbench.results.regression.finding import Settings
from loopbench.results.regression.outputs import benchmark_json, write
from loopbench.results.schema import Value
from tests.results.regression.tables import Plan
from tests.results.regression.tables import write as put_folder


def _texts(folder: Path, plan: Plan | None = None) -> dict[str, Any]:
    put_folder(folder, plan)
    report = verdict.judge(evidence.read(folder), Settings())
    return {name: json.loads(text) for name, text in benchmark_json.render(report).items()}


def test_the_candidates_figures_of_which_less_is_better(tmp_path: Path) -> None:
    """Median, range and verdict, under names that the next check has, too."""

    def dearer(row: dict[str, Value]) -> dict[str, Value]:
        count = row["instructions"]
        assert isinstance(count, float)
        grown = (row["side"], row["stack"], row["route"]) == ("candidate", "aiohttp", "sync")
        return {**row, "instructions": count * 1.5 if grown else count}

    found = {
        one["name"]: one for one in _texts(tmp_path, Plan(count=dearer))[benchmark_json.ACTION_FILE]
    }
    assert found["aiohttp sync: instructions"] == {
        "name": "aiohttp sync: instructions",
        "unit": "instructions/request",
        "value": 370_500.0,
        "range": "370493 to 370507",
        "extra": "median of 3; regressed; +50 %, where equal code differs by 0.004 %",
    }
    cpu = found["aiohttp async-32: cpu_us_per_request"]
    assert cpu["unit"] == "us/request"
    assert cpu["extra"].startswith("median of 60; ruled-out; ")
    assert math.isclose(cpu["value"], 30, rel_tol=0.05)
    metrics = {name.rpartition(" ")[2] for name in found}
    assert metrics == {
        *("instructions", "cpu_us_per_request", "service_time_p50_ms", "service_time_p99_ms"),
    }


def test_counts_of_millions_keep_their_digits(tmp_path: Path) -> None:
    """A request of Quart takes millions, whose repeats differ in the last digits."""

    def millions(row: dict[str, Value]) -> dict[str, Value]:
        count = row["instructions"]
        assert isinstance(count, float)
        return {**row, "instructions": count * 10}

    found = {
        one["name"]: one
        for one in _texts(tmp_path, Plan(count=millions))[benchmark_json.ACTION_FILE]
    }
    lowest, highest = found["aiohttp sync: instructions"]["range"].split(" to ")
    assert 2_000_000 < int(lowest) < int(highest) < 3_000_000


def test_both_sides_as_suites_of_pyperf(tmp_path: Path) -> None:
    """A process is a run; times are seconds, and counts are integers."""
    texts = _texts(tmp_path)
    for side, file in benchmark_json.PYPERF_FILES.items():
        suite = texts[file]
        assert suite["version"] == "1.0"
        assert suite["metadata"]["side_python"] == "3.12.1 a"
        assert suite["metadata"]["side"].startswith({"base": "main", "candidate": "this"}[side])
        found = {one["metadata"]["name"]: one for one in suite["benchmarks"]}
        counted = found["aiohttp async: instructions"]
        assert counted["metadata"]["unit"] == "integer"
        assert [run["values"] for run in counted["runs"]] == [[247_000], [247_005], [246_995]]
        timed = found["aiohttp async-32: cpu_us_per_request"]
        assert timed["metadata"]["unit"] == "second"
        assert [len(run["values"]) for run in timed["runs"]] == [2] * 30
        values = [value for run in timed["runs"] for value in run["values"]]
        assert all(25e-6 < value < 40e-6 for value in values)


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    """A blank is no zero, and what has no value at all is not named."""

    def blank(row: dict[str, Value]) -> dict[str, Value]:
        return {
            **row,
            "service_time_p99_ms": None,
            "cpu_us_per_request": None if row["round"] == 1 else row["cpu_us_per_request"],
        }

    suite = _texts(tmp_path, Plan(slot=blank))[benchmark_json.PYPERF_FILES["candidate"]]
    found = {one["metadata"]["name"]: one for one in suite["benchmarks"]}
    assert "aiohttp async-32: service_time_p99_ms" not in found
    assert len(found["aiohttp async-32: cpu_us_per_request"]["runs"]) == 29


def test_nothing_of_facts_alone(tmp_path: Path) -> None:
    """Neither tool takes an empty file; the others are written."""
    put_folder(tmp_path, Plan().without("instructions", "time"))
    report = verdict.judge(evidence.read(tmp_path), Settings())
    assert benchmark_json.render(report) == {}
    files = [path.name for path in write.write(report, tmp_path)]
    assert files == ["exit_status", "junit.xml", "regression.csv", "regression.md"]


def test_they_are_written_beside_the_others(tmp_path: Path) -> None:
    """All files of a verdict, in the order in which they are named to a person."""
    put_folder(tmp_path)
    report = verdict.judge(evidence.read(tmp_path), Settings())
    assert [path.name for path in write.write(report, tmp_path)] == [
        *("exit_status", "github-action-benchmark.json", "junit.xml", "pyperf-base.json"),
        *("pyperf-candidate.json", "regression.csv", "regression.md"),
    ]
