"""The WebSockets' section and table, of a folder whose figures are known."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from loopbench.results.folder.folder import load
from loopbench.results.report import markdown
from loopbench.results.schema import RUNS
from loopbench.results.stats.summaries.summary import summarise
from loopbench.results.terminal import table as terminal
from tests.results.examples import websocket_folder
from tests.results.examples.folders import put
from tests.results.report.reports import made, panels, table

GOLDEN = Path(__file__).parent / "golden_websockets.md"
SHOWN = Path(__file__).parent / "golden_show_websockets.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return websocket_folder.write(tmp_path / "known")


def section(folder: Path) -> str:
    whole = markdown.render(made(folder))
    return (
        "## WebSockets" + whole.partition("## WebSockets")[2].partition("<a id=")[0].rstrip() + "\n"
    )


def shown(folder: Path) -> str:
    loaded = load(folder)
    page = terminal.page(loaded, summarise(loaded))
    out = io.StringIO()
    terminal.render(page, folder, Console(file=out, width=100, highlight=False))
    printed = [line.rstrip() for line in out.getvalue().splitlines()]
    end = next(number for number, line in enumerate(printed) if line.startswith("± and"))
    return "\n".join(printed[1:end]) + "\n"


def test_the_section_is_as_it_should_be(
    folder: Path, generated: Callable[[Path, str], None]
) -> None:
    """Every sentence and every table, as Markdown."""
    generated(GOLDEN, section(folder))


def test_the_terminal_is_as_it_should_be(
    folder: Path, generated: Callable[[Path, str], None]
) -> None:
    """The same figures in the terminal's table, under the names that sockets have."""
    generated(SHOWN, shown(folder))


def test_figures_by_hand(folder: Path) -> None:
    """10 MB over 500 connections are 20 kB each, 1 MB of them was kept; ratios within a Round."""
    messages = {row[:2]: row for row in table(made(folder), "Messages by scenario and stack").rows}
    header = table(made(folder), "Messages by scenario and stack").header
    echo = dict(zip(header, messages["ws-echo-500", "aiohttp"], strict=True))
    assert echo["memory a connection kB"] == "20.0"
    assert echo["held after MB"] == "1.00"
    assert echo["connections/s"] == "–"
    slower = dict(zip(header, messages["ws-echo-500", "quart-hypercorn"], strict=True))
    assert slower["× aiohttp [95 %]"].startswith("0.250x")
    connect = dict(zip(header, messages["ws-connect", "aiohttp"], strict=True))
    assert (connect["messages/s"], connect["connections/s"]) == ("–", "2,000")
    beside = {
        row[:2]: row[2:4] for row in table(made(folder), "One receiver that reads nothing").rows
    }
    assert beside["aiohttp", "delay p99 ms"] == ("4.00", "8.00")
    assert beside["aiohttp", "deliveries lost by the others"] == ("0", "7")
    assert beside["aiohttp", "highest memory MB"] == ("42.0", "63.0")
    assert beside["aiohttp", "receivers that the server gave up"] == ("0", "1")


def test_pictures(folder: Path) -> None:
    """One for each quantity that was measured."""
    drawn = set(panels(made(folder)))
    assert drawn >= {
        "Messages to and fro, a second",
        "Connections opened a second",
        "Publication to arrival, p50, ms",
        "To the last receiver, p50, ms",
    }


def test_kinds_alone(folder: Path) -> None:
    """A folder of one kind has its table alone; one of neither has no such section."""
    rows = list(websocket_folder.run_rows())
    put(folder, RUNS, [row for row in rows if row["load_model"] == "echo"])
    said = section(folder)
    assert "Messages by scenario" in said
    assert "Deliveries" not in said
    put(folder, RUNS, [row for row in rows if row["scenario"] == "feed-slow"])
    said = section(folder)
    assert "Messages by scenario" not in said
    assert "One receiver that reads nothing" not in said
    put(folder, RUNS, [{**rows[0], "load_model": "closed"}])
    assert "## WebSockets" not in markdown.render(made(folder))
