"""Server and framework told apart, on a folder whose differences are known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loopbench.results.folder import folder as folders
from loopbench.results.folder.tables import Problem
from loopbench.results.report import markdown
from loopbench.results.report.blocks import Plot, Table
from loopbench.results.report.data import gather
from loopbench.results.report.document import document
from loopbench.results.report.page import html
from loopbench.results.report.sections import framework_split as section
from loopbench.results.schema import COUNTS, read_table
from loopbench.results.stats.comparisons import framework_split
from loopbench.results.stats.comparisons.framework_split import Counted, Pair, Split
from loopbench.results.stats.summaries.summary import summarise
from tests.conftest import ROOT
from tests.results.examples import split_folder

STACKS = ROOT / "results" / "reference" / "stacks"
GOLDEN = Path(__file__).parent / "golden_split.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return split_folder.write(tmp_path / "run")


def _of(path: Path) -> tuple[tuple[Split, ...], tuple[Counted, ...]]:
    loaded = folders.load(path)
    problems: list[Problem] = []
    found = framework_split.of_folder(loaded, summarise(loaded), problems)
    assert problems == []
    return found


def test_stacks_pair_that_differ_in_one_trait(folder: Path) -> None:
    """By what the servers said of themselves; never across two traits, nor where no loop serves."""
    assert framework_split.pairs(folders.facts_of(folders.load(folder))) == (
        Pair("framework", "bare-h", "full-h"),
        Pair("loop", "full-h", "full-h-fast"),
        Pair("parser", "full-u", "full-u-c"),
    )


def test_a_machine_of_changing_speed_hides_no_difference(folder: Path) -> None:
    """150 µs in the second Round, half and twice of it in the others, and always 2.5 times as much:
    the parts follow from the ratio, in which the speed is not."""
    timed, _ = _of(folder)
    framework, loop, parser = timed
    assert framework.other == 250.0
    assert (framework.base, framework.difference) == pytest.approx((100.0, 150.0))
    assert framework.share == pytest.approx(0.6)
    assert framework.interval is not None
    assert (framework.interval.low, framework.interval.high) == pytest.approx((0.6, 0.6))
    assert (framework.ratio.n, framework.ratio.significant) == (3, True)
    assert framework.ratio.centre == pytest.approx(2.5)
    assert (loop.difference, parser.difference) == pytest.approx((-50.0, -120.0))


def test_all_figures_of_a_row_have_one_footing() -> None:
    """Of the published run, measured in Slices: the ratio is that of every other table, the
    difference over the whole is the share, and the share's ends are those of the ratio."""
    loaded = folders.load(STACKS)
    summaries = summarise(loaded)
    found, _ = framework_split.of_folder(loaded, summaries, [])
    assert len(found) == 7
    for split in found:
        base, other = split.cells
        assert split.other == summaries.by[other, framework_split.CPU].centre
        assert split.ratio == summaries.between(other, base, framework_split.CPU)
        assert split.other / split.base == pytest.approx(split.ratio.centre)
        assert split.difference / split.other == pytest.approx(split.share)
        assert split.interval is not None and split.ratio.interval is not None
        ends = split.ratio.interval.low, split.ratio.interval.high
        for share, ratio in zip((split.interval.low, split.interval.high), ends, strict=True):
            assert 1 / (1 - share) == pytest.approx(ratio)


def test_counts_carry_the_range_of_both_sides(folder: Path) -> None:
    """No pairs of Rounds there: the difference may be off by both ranges together."""
    _, (framework, loop) = _of(folder)
    assert framework.difference == 800_000
    assert framework.reach == pytest.approx(80 + 160)
    assert (loop.pair.base, loop.pair.other, loop.difference) == ("full-h", "full-h-fast", -100_000)


def test_what_was_counted_once_has_a_difference_and_no_range() -> None:
    """As a bench counts: of the published run, whose rows say the rest."""
    counts = tuple(read_table(STACKS, COUNTS))
    assert {row["spread"] for row in counts} == {None}
    whole = {row["stack"]: row["instructions"] for row in counts}
    _, counted = _of(STACKS)
    assert len(counted) == 7
    for count in counted:
        assert (count.base, count.other) == (whole[count.pair.base], whole[count.pair.other])
        assert count.reach is None
    lines = _command(STACKS).stdout.splitlines()
    assert "Server and framework: instructions a request" in lines
    (quart,) = (
        line.split()
        for line in lines
        if line.startswith("  async  quart-hypercorn  asgi-hypercorn")
    )
    assert quart[-3:] == ["591,000", "?", "36%"]


def test_without_a_partner_there_is_no_section(tmp_path: Path) -> None:
    """Neither rows nor an empty table; the command says what to measure."""
    lonely = {name: split_folder.STACKS[name] for name in ("own", "threads", "full-u")}
    path = split_folder.write(tmp_path / "lonely", lonely)
    assert _of(path) == ((), ())
    loaded = folders.load(path)
    assert list(section.parts(gather(loaded, summarise(loaded)))) == []
    done = _command(path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no two stacks of this run differ")


def test_a_single_round_has_a_difference_and_no_interval(folder: Path) -> None:
    """It is marked as such."""
    loaded = folders.load(folder)
    one = folders.Folder(
        loaded.path,
        tuple(run for run in loaded.runs if run.round == 2),
        loaded.failures,
        loaded.plan,
        loaded.environment,
        loaded.problems,
    )
    (framework, *_), _ = framework_split.of_folder(one, summarise(one), [])
    assert framework.difference == pytest.approx(150.0)
    assert (framework.interval, framework.ratio.significant) == (None, None)
    assert "too-few-rounds" in framework.codes


def test_the_report_has_the_picture_and_its_numbers(folder: Path) -> None:
    """A bar of two parts for a framework, tables for the rest, instructions of each."""
    loaded = folders.load(folder)
    plot, *rest = section.parts(gather(loaded, summarise(loaded)))
    assert isinstance(plot, Plot)
    assert [key.text for key in plot.keys] == list(section.NAMES)
    assert plot.table.rows == (
        (
            "async-32", "full-h", "bare-h", "100", "250", "150", "60.0% [60.0 to 60.0]",
            "2.50x [2.50–2.50]", "3",
        ),
    )  # fmt: skip
    assert [part.title for part in rest if isinstance(part, Table)] == [
        "Server and framework: instructions a request",
        "Another event loop: CPU time a request",
        "Another event loop: instructions a request",
        "Another HTTP parser: CPU time a request",
    ]


def test_the_command_prints_the_tables(folder: Path) -> None:
    """Exactly these."""
    done = _command(folder)
    assert done.stderr == ""
    assert done.stdout == GOLDEN.read_text(encoding="utf-8")


def _command(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "results", "split", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_many_stacks_are_answered_in_a_table(folder: Path) -> None:
    """A clause with the ends of the range, and a row a stack, on the page and in Markdown."""
    loaded = folders.load(folder)
    report = document(loaded, summarise(loaded))
    cores = report.questions[13]
    assert cores.table is not None
    assert cores.table.header == ("stack", "cores")
    assert ("full-h", "2.50") in cores.table.rows
    assert len(cores.table.rows) == 7
    assert str(cores.line[0]).startswith("0.300 cores (own) to 3.00 cores (full-u): ")
    assert cores.details == ()
    assert "   | full-h | 2.50 |" in markdown.render(report).splitlines()
    assert "Cores for 10,000 requests/s of async-32" in html.render(report)
