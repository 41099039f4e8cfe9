"""Summaries of the golden folder, against figures worked out beforehand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from loopbench.results.errors import UnknownName
from loopbench.results.folder.folder import load
from loopbench.results.schema import RUNS, SUMMARY, Code, read_table
from loopbench.results.schema.reading_warnings import ReadingCode
from loopbench.results.schema.warnings import WORDING, wording
from loopbench.results.schema.wording import Wording
from loopbench.results.stats import formatting
from loopbench.results.stats.intervals.location import Interval
from loopbench.results.stats.summaries import summary_table
from loopbench.results.stats.summaries.sample import METRICS, Sample
from loopbench.results.stats.summaries.summary import (
    Summaries,
    Summary,
    choose_reference,
    summarise,
)
from loopbench.results.terminal import brief
from loopbench.results.terminal.notes import Note, marks, notes
from tests.results.examples import golden
from tests.results.examples.folders import put

REACH = 4.302653 * math.sqrt(4e-4 / 6)
"""Half the interval of logarithms -0.02, -0.01, 0, 0.01, 0.02: winsorised squares 4e-4, h = 3."""


def _of(summaries: Summaries, stack: str, scenario: str, metric: str) -> Summary:
    found = summaries.get((stack, scenario, "main"), metric)
    assert found is not None
    return found


def test_the_centre_the_interval_and_the_spread(folder: Path) -> None:
    """aiohttp in async-32: the bad Round is in the spread and not in the centre."""
    found = _of(summarise(load(folder)), "aiohttp", "async-32", "throughput_rps")
    assert (found.n, found.centre, found.lowest, found.highest) == (5, 1010.0, 10.0, 1030.0)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(1010 - 4.302653 * math.sqrt(400 / 6), abs=1e-4)
    assert found.ratio is None
    assert found.warnings == ()


def test_a_ratio_is_taken_within_a_round(folder: Path) -> None:
    """quart-hypercorn has a quarter of aiohttp's throughput in each Round, the bad one too."""
    ratio = _of(summarise(load(folder)), "quart-hypercorn", "async-32", "throughput_rps").ratio
    assert ratio is not None
    assert (ratio.to, ratio.n, ratio.significant) == ("aiohttp", 5, True)
    assert ratio.centre == pytest.approx(0.25, rel=1e-6)
    assert ratio.interval is not None
    assert ratio.interval.low == pytest.approx(0.25 * math.exp(-REACH), rel=1e-5)
    assert ratio.interval.high == pytest.approx(0.25 * math.exp(REACH), rel=1e-5)


def test_an_insignificant_ratio_says_so(folder: Path) -> None:
    """Where the logarithms straddle 0 the interval contains 1."""
    ratio = _of(summarise(load(folder)), "quart-hypercorn", "open-low", "response_time_p50_ms")
    assert ratio.ratio is not None
    assert ratio.ratio.significant is False
    assert formatting.ratio(ratio.ratio).startswith("~ [")


def test_too_few_rounds_give_no_interval_and_say_so(folder: Path) -> None:
    """Two Rounds of five: centre and spread, no interval, both Warnings."""
    found = _of(summarise(load(folder)), "quart-hypercorn", "plain-32", "throughput_rps")
    assert (found.n, found.centre, found.interval) == (2, 300.0, None)
    codes = {warning.code: (warning.rounds, warning.of) for warning in found.warnings}
    assert codes == {
        Code.SERVER_NOT_READY: (3, 5),
        ReadingCode.TOO_FEW_ROUNDS: (2, 2),
        ReadingCode.ROUNDS_MISSING: (2, 5),
    }
    assert found.ratio is not None
    assert found.ratio.significant is None


def test_the_yardstick_shows_where_the_generator_was_the_limit(folder: Path) -> None:
    """3,700 of the yardstick's 4,000 is within 10 %; an open loop, where all are equal by
    design, is not judged so."""
    summaries = summarise(load(folder))
    limited = {
        cell
        for cell, found in summaries.cells.items()
        if ReadingCode.GENERATOR_LIMIT in {warning.code for warning in found}
    }
    assert limited == {("aiohttp", "plain-32", "main")}


def test_warnings_stay_with_the_figures_that_they_concern(folder: Path) -> None:
    """The generator's lag puts times in doubt; what the server's CPU did it does not."""
    summaries = summarise(load(folder))
    times = _of(summaries, "quart-hypercorn", "open-low", "response_time_p99_ms")
    assert [(warning.code, warning.rounds) for warning in times.warnings] == [
        (Code.GENERATOR_LAG, 1),
        (Code.FAILURES, 1),
    ]
    assert not wording(Code.GENERATOR_LAG).concerns("cpu_us_per_request")


@pytest.mark.parametrize(
    ("stacks", "reference"),
    [
        (("quart-hypercorn", "asyncio", "aiohttp"), "aiohttp"),
        (("quart-hypercorn", "asyncio"), "quart-hypercorn"),
        (("asyncio",), None),
    ],
)
def test_the_yardstick_is_no_reference_by_itself(
    stacks: tuple[str, ...], reference: str | None
) -> None:
    """The first by name that is no yardstick; none where there is only that."""
    assert choose_reference(stacks, "asyncio") == reference


def test_a_reference_can_be_named(folder: Path) -> None:
    """Ratios to the yardstick, where a person asks for them."""
    ratio = _of(summarise(load(folder), "asyncio"), "aiohttp", "plain-32", "throughput_rps").ratio
    assert ratio is not None
    assert ratio.to == "asyncio"
    assert ratio.centre == pytest.approx(0.925)


def test_an_unknown_reference_is_refused(folder: Path) -> None:
    """With the nearest name."""
    with pytest.raises(UnknownName, match=r"unknown stack 'aiohtp'; did you mean 'aiohttp'\?"):
        summarise(load(folder), "aiohtp")


def test_a_planned_stack_without_a_row_is_told_of(folder: Path) -> None:
    """Every Cell that it should have carries the Warning."""
    rows = [row for row in golden.run_rows() if row["stack"] != "quart-hypercorn"]
    put(folder, RUNS, rows)
    cells = summarise(load(folder)).cells
    missing = {
        cell[0]
        for cell, found in cells.items()
        if [warning.code for warning in found] == [ReadingCode.STACK_MISSING]
    }
    assert missing == {"quart-hypercorn"}


def test_a_zero_has_no_ratio(folder: Path) -> None:
    """Nothing is divided by zero, and no logarithm of it is taken."""
    rows = [{**row, "throughput_rps": 0.0} for row in golden.run_rows()]
    put(folder, RUNS, rows)
    found = _of(summarise(load(folder)), "quart-hypercorn", "async-32", "throughput_rps")
    assert (found.centre, found.ratio) == (0.0, None)


def test_summary_csv_holds_what_was_summarised(folder: Path) -> None:
    """Read back through the schema: the row of the ratio above, figure by figure."""
    summary_table.write(folder, summarise(load(folder)))
    rows = {
        (row["stack"], row["scenario"], row["load"], row["metric"]): row
        for row in read_table(folder, SUMMARY)
    }
    row = rows["quart-hypercorn", "async-32", "main", "throughput_rps"]
    assert (row["unit"], row["n"], row["reference"], row["ratio_n"]) == ("1/s", 5, "aiohttp", 5)
    assert row["ratio"] == pytest.approx(0.25, rel=1e-5)
    assert row["ratio_low"] == pytest.approx(0.25 * math.exp(-REACH), rel=1e-5)
    assert rows["aiohttp", "async-32", "main", "throughput_rps"]["ratio"] is None
    few = rows["quart-hypercorn", "plain-32", "main", "throughput_rps"]
    assert (few["low"], few["high"], few["lowest"], few["highest"]) == (None, None, 300.0, 300.0)
    assert few["warnings"] == "server-not-ready;too-few-rounds;rounds-missing"
    left = {path.name for path in folder.iterdir() if path.is_dir()}
    assert left == set()


def test_every_code_has_its_words() -> None:
    """What happened, what it means, what to do: for each code of the schema and of reading."""
    assert set(WORDING) == {*Code, *ReadingCode}
    for words in WORDING.values():
        assert words.happened and words.means and words.do


def test_every_mark_of_the_short_table_is_told_in_a_line() -> None:
    """Of a terminal of 100 columns, with a number of two digits; those of the machine, too."""
    machine = {Code.MACHINE_BUSY, Code.MACHINE_SPEED}
    for code, words in WORDING.items():
        if not words.minor or code in machine:
            assert len(f"[12!] {code}: {words.in_a_line}") <= brief.WIDTH, code


def test_every_beginning_in_the_wording_is_one_of_a_column() -> None:
    """A renamed column must not slip out of its Warning."""
    for code, words in WORDING.items():
        for begin in words.touches:
            assert any(name.startswith(begin) for name in RUNS.names), f"{code}: {begin}"


def test_an_unknown_code_is_no_reason_to_trust() -> None:
    """A newer version's Warning disqualifies, and says that it is not known."""
    words = wording("moon-phase")
    assert isinstance(words, Wording)
    assert words.disqualifies and words.concerns("throughput_rps")


def test_every_shown_metric_is_a_column() -> None:
    """The tables show nothing that the schema does not have."""
    assert {shown.metric for shown in formatting.SHOWN} <= METRICS.keys()


def test_an_overloaded_stack_has_no_ratio_of_times(folder: Path) -> None:
    """A rate that was missed says so in place of a ratio; where all hold it there is one."""
    rows = [
        {**row, "warnings": Code.RATE_MISSED}
        if (row["stack"], row["scenario"]) == ("quart-hypercorn", "open-low")
        else row
        for row in golden.run_rows()
    ]
    put(folder, RUNS, rows)
    summaries = summarise(load(folder))
    told = {
        stack: formatting.ratio(found.ratio)
        for stack in ("asyncio", "quart-hypercorn")
        if (found := _of(summaries, stack, "open-low", "response_time_p50_ms")).ratio is not None
    }
    assert told == {"asyncio": "0.200x ±0.0%", "quart-hypercorn": "overloaded"}
    lines = {line.title: line for line in brief.brief(load(folder), summaries, ()).lines}
    assert (lines["open-low"].ratio, lines["open-low"].verdict) == ("overloaded", "")
    assert lines["async-32"].verdict == "slower"


@pytest.mark.parametrize(("missed", "said"), [(2, "~ [0.965–1.04]"), (3, "overloaded")])
def test_a_rate_is_missed_in_most_rounds(folder: Path, missed: int, said: str) -> None:
    """Not in two of five, in which the machine was another."""
    rows = [
        {**row, "warnings": Code.RATE_MISSED}
        if (row["stack"], row["scenario"]) == ("quart-hypercorn", "open-low")
        and int(str(row["round"])) <= missed
        else row
        for row in golden.run_rows()
    ]
    put(folder, RUNS, rows)
    summary = _of(summarise(load(folder)), "quart-hypercorn", "open-low", "response_time_p50_ms")
    assert summary.ratio is not None
    assert formatting.ratio(summary.ratio) == said
    assert (Code.RATE_MISSED in summary.disqualifying) == (missed == 3)


@pytest.mark.parametrize(
    ("interval", "centre", "said"),
    [
        (Interval(97.0, 102.0), 100.0, "±3.0%"),
        (Interval(91.0, 109.95), 100.0, "±10%"),
        (Interval(99.95, 100.05), 100.0, "±0.1%"),
        (Interval(88.0, 110.1), 100.0, "±12%"),
        (Interval(0.0, 11_495.0), 100.0, "±>100%"),
        (None, 100.0, ""),
    ],
)
def test_an_interval_is_written_in_per_cent_of_the_figure(
    interval: Interval | None, centre: float, said: str
) -> None:
    """Rounded up; a ± of more than the figure itself would be read as a fact about it."""
    sample = Sample("a", "b", "main", "throughput_rps", {1: centre})
    summary = Summary(sample, 1, centre, interval, centre, centre, None, ())
    assert formatting.precision(summary) == said
    assert formatting.is_wide(summary) == (said == "±>100%")


def test_only_marks_that_tell_cells_apart_are_printed(folder: Path) -> None:
    """A note that voids a figure is marked by `!`; a minor one, and one about nearly every Cell,
    stands under the table only."""
    warned = {
        "aiohttp": "rate-missed;machine-busy;failures",
        "asyncio": "failures",
        "quart-hypercorn": "failures",
    }
    rows = [
        {**row, "warnings": warned[str(row["stack"])]}
        for row in golden.run_rows()
        if row["scenario"] != "plain-32"
    ]
    put(folder, RUNS, rows)
    found = notes(summarise(load(folder)))
    assert [note.code for note in found] == ["rate-missed", "failures", "machine-busy"]
    assert marks(found, ("aiohttp", "open-low", "main")) == "[1!]"
    assert marks(found, ("asyncio", "open-low", "main")) == ""
    assert found[1].where() == "every Cell"


def test_a_note_about_every_cell_says_in_how_many_rounds(folder: Path) -> None:
    """Where that differs from Cell to Cell, all of them have it still; and where it forbids
    comparing some of them alone, these are marked."""

    def noted(code: str, stack: str, most: int) -> Note:
        rows = [
            {
                **row,
                "warnings": code
                if row["stack"] != stack or row["round"] in range(most + 1)
                else None,
            }
            for row in golden.run_rows()
            if row["scenario"] == "async-32"
        ]
        put(folder, RUNS, rows)
        (found,) = notes(summarise(load(folder)))
        return found

    assert noted("generator-lag", "aiohttp", 5).where() == "every Cell"
    assert noted("generator-lag", "aiohttp", 2).where() == "every Cell, in some of the Rounds"
    grave = noted("littles-law", "aiohttp", 1)
    cells = [(stack, "async-32", "main") for stack in golden.STACKS]
    assert [marks((grave,), cell) for cell in cells] == ["[1]", "[1!]", "[1!]"]
    assert grave.where().startswith("aiohttp async-32 (1 of 5 Rounds), ")
