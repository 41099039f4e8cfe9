"""The sections on streams, uploads, large answers and fetching, on a folder that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loopbench.results.folder.folder import load
from loopbench.results.report import markdown
from loopbench.results.schema import RUNS, Row
from loopbench.results.stats.summaries.summary import summarise
from loopbench.results.terminal import table as terminal
from tests.results.examples import moving_folder, report_folder
from tests.results.examples.folders import put
from tests.results.report.reports import made, of_class, panels, picture, points, table

GOLDEN = Path(__file__).parent / "golden_moving.md"
SECTIONS = ("moving", "fetching")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return moving_folder.write(tmp_path / "known")


def test_the_sections_are_as_they_should_be(
    folder: Path, generated: Callable[[Path, str], None]
) -> None:
    """Every figure of the known folder, in a golden file that was checked by hand."""
    report = made(folder)
    ours = tuple(one for one in report.sections if one.anchor in SECTIONS)
    assert tuple(one.anchor for one in ours) == SECTIONS
    generated(GOLDEN, markdown.render(replace(report, sections=ours, questions=(), missing=())))


def test_a_folder_without_such_scenarios_has_no_such_section(tmp_path: Path) -> None:
    """But a line on how to get it."""
    report = made(report_folder.write(tmp_path / "other"))
    assert not {one.anchor for one in report.sections} & set(SECTIONS)
    said = markdown.render(report)
    assert "“Streams, uploads, large answers” needs such scenarios" in said
    assert "“Handlers that fetch” needs such scenarios" in said


def test_a_further_page_costs_the_difference(folder: Path) -> None:
    """(1,200 - 300) / 9 and (7,650 - 300) / 49 us, and four times that; of the smallest number,
    and of a way with one number only, nothing is said."""
    rows = table(made(folder), "By way and number of pages").rows
    at = table(made(folder), "By way and number of pages").header.index("CPU µs a further page")
    assert {row[0]: row[at] for row in rows if row[1] == "aiohttp"} == {
        "gather, 1": "–",
        "gather, 10": "100",
        "gather, 50": "150",
        "threads, 10": "–",
    }
    assert {row[at] for row in rows if row[1] == "quart-hypercorn"} == {"–", "400", "600"}


def test_a_slow_reader_costs_what_was_held_over_their_number(folder: Path) -> None:
    """10 MB of 50 readers are 200 kB each; 4 MB are held when they have left; the others take
    twice as long as alone."""
    found = table(made(folder), "Memory with slow readers and without, and what the others met")
    row = next(row for row in found.rows if row[:2] == ("stream-stuck", "aiohttp"))
    assert row[2:6] == ("50", "10.0", "200", "4.00")
    assert row[7].startswith("2.00x")
    assert [row[2] for row in found.rows] == ["0", "0", "50", "50"]


def test_the_pictures_show_each_scenario(folder: Path) -> None:
    """Response time over the pages, a line a stack and a panel a way that has three numbers of
    pages; and each picture draws."""
    found = panels(made(folder))
    assert "threads: response p50, ms" not in found
    lines = of_class(picture(found["gather: response p50, ms"]), "line")
    assert len(lines) == 2
    for line in lines:
        begin, later, end = (x for x, _ in points(line))
        assert (later - begin) / (end - begin) == pytest.approx((10 - 1) / (50 - 1), abs=1e-3)
    for title in ("first byte p50, µs", "peak memory over before, MB", "MB/s"):
        assert of_class(picture(found[title]), "mark")


def test_rows_from_before_have_no_such_figures(folder: Path) -> None:
    """Without the new columns there are still the tables of what is known, and no failure."""
    new = ("request_body_bytes", "answer_body_bytes", "first_byte_p50_us", "first_byte_p99_us")
    rows: list[Row] = [{**row, **dict.fromkeys(new)} for row in moving_folder.run_rows()]
    put(folder, RUNS, rows)
    found = table(made(folder), "Uploads, by scenario")
    assert "MB/s" not in found.header
    assert "uploads/s" in found.header


def test_the_terminal_shows_first_bytes_and_slow_readers(folder: Path) -> None:
    """`show` has them beside the other times."""
    loaded = load(folder)
    blocks = {one.title: one for one in terminal.page(loaded, summarise(loaded)).blocks}
    labels = [line.label for line in blocks["stream-100k, 4 users"].lines]
    assert labels[:3] == ["requests/s", "first byte p50 µs", "first byte p99 µs"]
    assert "+ slow, 50 slow" in blocks
    assert "first byte p50 µs" not in [line.label for line in blocks["json-1k, 4 users"].lines]
