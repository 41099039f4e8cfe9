"""The headline, and what is said beside pictures, where several contenders are not told alike."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from loopbench.results.report.markdown import render
from loopbench.results.schema import RUNS, Row
from tests.results.examples import folders
from tests.results.report.reports import made


def _report(folder: Path, rows: Iterable[Row]) -> str:
    return render(made(folders.write(folder, {RUNS: rows}))).replace("\\", "")


def _row(number: int, stack: str, rps: float, warnings: str | None = None) -> Row:
    return folders.run_row(
        number,
        stack,
        "async-32",
        load_model="closed",
        users=32,
        throughput_rps=rps,
        warnings=warnings,
    )


def test_the_headline_is_about_all_of_several_stacks(tmp_path: Path) -> None:
    """Where two Rounds have no interval, and where a Warning forbids comparing one."""
    rates = {"a": 100.0, "b": 200.0, "c": 300.0, "d": 400.0}
    few = [_row(number, stack, rps) for number in (1, 2) for stack, rps in rates.items()]
    assert (
        "**Beside a the throughput of 3 stacks in async-32 goes from 2.00x (b) to 4.00x (d), as "
        "far as 2 Rounds can tell.**" in _report(tmp_path / "few", few)
    )
    doubtful = [
        _row(number, stack, rps + number, "environment-drift" if stack == "d" else None)
        for number in (1, 2, 3)
        for stack, rps in rates.items()
    ]
    assert "(c); 1 more cannot be compared there.**" in _report(tmp_path / "doubtful", doubtful)


def test_stacks_without_a_ratio_are_not_alone(tmp_path: Path) -> None:
    """One answered nothing, of which there is no ratio; it was measured beside the other."""
    rates = {"a": 100.0, "b": 0.0}
    rows = [_row(number, stack, rps) for number in (1, 2, 3) for stack, rps in rates.items()]
    said = _report(tmp_path / "run", rows)
    assert (
        "**a answers 100 requests/s and b 0 in async-32; there is no ratio of them to a "
        "([figures](#speed)).**" in said
    )
    assert "no other stack" not in said


def test_stacks_that_can_be_told_apart_are_not_said_to_be_alike(tmp_path: Path) -> None:
    """Of three contenders one is like the reference."""
    rates = {"a": 100.0, "b": 101.0, "c": 300.0, "d": 400.0}
    rows = [
        _row(number, stack, rps + (10.0 if (stack, number) == ("b", 2) else number - 2))
        for number in (1, 2, 3)
        for stack, rps in rates.items()
    ]
    said = _report(tmp_path / "run", rows)
    assert (
        "Of requests/s the interval is wider than the effect in async-32 (b): there these cannot "
        "be told from a." in said
    )


def test_a_call_that_blocks_has_its_warnings_in_the_sentence(tmp_path: Path) -> None:
    """The server of quart died beside it in every Round."""
    rows = [
        folders.run_row(
            number,
            stack,
            scenario,
            load=load,
            load_model="open",
            users=64,
            arrival_rate_rps=500.0,
            response_time_p99_ms=p99 if load == "canary" else None,
            warnings="server-died" if (stack, load) == ("quart", "canary") and p99 > 1 else None,
        )
        for number in (1, 2, 3)
        for stack in ("aiohttp", "quart")
        for scenario, load, p99 in (
            ("neighbour-none", "canary", 1.0),
            ("neighbour-sleep-blocking", "canary", 100.0 + number),
            ("neighbour-sleep-blocking", "neighbour", 0.0),
        )
    ]
    said = _report(tmp_path / "run", rows)
    (line,) = (line for line in said.splitlines() if "innocent requests beside it" in line)
    assert "; not to be compared: quart in neighbour-sleep-blocking (server-died)" in line
    assert "aiohttp in neighbour" not in line
