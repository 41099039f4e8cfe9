"""The short table's verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopbench.results.folder.folder import load
from loopbench.results.report.data import gather
from loopbench.results.report.sections.answer import distrust
from loopbench.results.schema import RUNS
from loopbench.results.stats.summaries.summary import summarise
from loopbench.results.terminal.brief import brief
from loopbench.results.terminal.table import heading
from tests.results.examples import folders


@pytest.mark.parametrize("doubtful", ["aiohttp", "quart", ""])
def test_what_is_not_to_be_compared_has_no_verdict(tmp_path: Path, doubtful: str) -> None:
    """Whichever side the Warning is about: the mark beside it says which it is."""
    rows = [
        folders.run_row(
            number,
            stack,
            "async-32",
            load_model="closed",
            users=32,
            throughput_rps=rps + number,
            warnings="saves-differ" if stack == doubtful else None,
        )
        for number in (1, 2, 3)
        for stack, rps in (("aiohttp", 1000.0), ("quart", 500.0))
    ]
    folder = load(folders.write(tmp_path / "run", {RUNS: rows}))
    (line,) = brief(folder, summarise(folder), ()).lines
    assert line.verdict == ("not comparable" if doubtful else "slower")
    assert line.marks == ("[1!]" if doubtful else "")


@pytest.mark.parametrize(("aiohttp_rps", "quart_rps"), [(1000.0, 0.0), (0.0, 500.0)])
def test_a_stack_that_answered_nothing_has_no_ratio(
    tmp_path: Path, aiohttp_rps: float, quart_rps: float
) -> None:
    """And no interval of another figure in its place."""
    rows = [
        folders.run_row(
            number, stack, "async-32", load_model="closed", users=32, throughput_rps=rps * number
        )
        for number in (1, 2, 3)
        for stack, rps in (("aiohttp", aiohttp_rps), ("quart", quart_rps))
    ]
    folder = load(folders.write(tmp_path / "run", {RUNS: rows}))
    (line,) = brief(folder, summarise(folder), ()).lines
    assert (line.ratio, line.verdict) == ("", "no ratio")


@pytest.mark.parametrize(
    ("rounds", "planned", "said"),
    [
        ((3, 3), None, "3 Rounds, "),
        ((3, 25), None, "3 to 25 Rounds a scenario, "),
        ((2, 3), 5, "2 to 3 of 5 Rounds a scenario, "),
        ((1, 1), 1, "1 Round, "),
        ((1, 1), 2, "1 of 2 Rounds, "),
    ],
)
def test_the_head_says_how_many_rounds_a_scenario_has(
    tmp_path: Path, rounds: tuple[int, int], planned: int | None, said: str
) -> None:
    """With a budget one has more than another: the most is not that of all."""
    rows = [
        folders.run_row(number, "aiohttp", scenario, load_model="closed", users=1)
        for scenario, count in zip(("async-1", "async-32"), rounds, strict=True)
        for number in range(1, count + 1)
    ]
    path = folders.write(tmp_path / "run", {RUNS: rows}, plan={"rounds": planned})
    folder = load(path)
    first, *_ = heading(folder)
    assert first.startswith(f"run: {said}")
    told = "".join(map(str, distrust(gather(folder, summarise(folder)))))
    some = "small differences in 1 of 2 scenarios, which have fewer than 5 Rounds: these"
    assert (some in told) is (max(rounds) >= 5)


@pytest.mark.parametrize(
    ("code", "first", "second"),
    [("probe-share", "[1]", ""), ("failures", "[1]", "[1]"), ("rate-missed", "[1!]", "[1!]")],
)
def test_a_line_without_cpu_time_has_no_mark_of_it(
    tmp_path: Path, code: str, first: str, second: str
) -> None:
    """An open loop has two lines. In the other one a note about CPU time would seem to be about
    the response time, the only figure there."""
    rows = [
        folders.run_row(
            number,
            stack,
            "open-low",
            load_model="open",
            users=64,
            arrival_rate_rps=500.0,
            response_time_p50_ms=1.0 + number / 100,
            response_time_p99_ms=2.0 + number / 100,
            cpu_us_per_request=100.0 + number,
            warnings=code if stack == "quart" else None,
        )
        for number in (1, 2, 3)
        for stack in ("aiohttp", "quart")
    ]
    folder = load(folders.write(tmp_path / "run", {RUNS: rows}))
    lines = brief(folder, summarise(folder), ()).lines
    assert [(line.measure, line.marks) for line in lines] == [
        ("response p50 ms", first),
        ("response p99 ms", second),
    ]


@pytest.mark.parametrize(
    ("failures", "said"),
    [
        ((500, 20), "50% of the requests of aiohttp async-1 failed, and some of 1 Cell more"),
        ((9, 20), "2% of the requests of aiohttp async-32 failed; "),
        ((9, 9), ""),
    ],
)
def test_the_answer_says_where_a_part_of_the_requests_failed(
    tmp_path: Path, failures: tuple[int, int], said: str
) -> None:
    """All figures are of right answers: a server that fails half of its requests is fast at the
    others. One failure in a thousand is told by its Warning."""
    rows = [
        {
            **folders.run_row(number, "aiohttp", scenario, load_model="closed", users=1),
            "requests": 1000,
            "failures": failed,
            "throughput_rps": 100.0,
            "warnings": "failures",
        }
        for scenario, failed in zip(("async-1", "async-32"), failures, strict=True)
        for number in (1, 2, 3)
    ]
    folder = load(folders.write(tmp_path / "run", {RUNS: rows}))
    told = "".join(map(str, distrust(gather(folder, summarise(folder)))))
    assert said in told
    assert ("right answers alone, since" in told) is bool(said)
