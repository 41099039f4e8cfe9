"""Pictures show the rows: places of marks and lines are read back from the drawn axes."""

from __future__ import annotations

import math
import re
from itertools import combinations
from pathlib import Path

import pytest

from loopbench.results.report.blocks import Panel
from loopbench.results.report.charts import kinds, svg
from loopbench.results.report.charts.style import INK, looks
from loopbench.results.report.data import Curve
from loopbench.results.report.series.distributions import distributions
from loopbench.results.report.series.timelines import MOST_POINTS, Track
from loopbench.results.schema import HISTOGRAMS
from tests.results import report_folder
from tests.results.folders import put
from tests.results.reports import drawn, made, marks, panels

BLUE, ORANGE = "#0072b2", "#d55e00"
STRONG, FAINT = 5.5, 3.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return report_folder.write(tmp_path / "known")


def _values(panel: Panel, colour: str, size: float = STRONG) -> list[float]:
    """What the marks of a logarithmic picture stand for, from top to bottom."""
    places = sorted(marks(panel, colour, size), key=lambda place: place[1])
    return [10**x for x, _ in places]


def test_throughput_is_drawn_where_it_was_measured(folder: Path) -> None:
    """The centre of each closed loop strong, its Rounds faint, the ceiling as a stroke."""
    panel = panels(made(folder))["Throughput of closed loops, requests/s"]
    assert _values(panel, BLUE) == pytest.approx([2000, 1000, 2000, 80, 120, 800, 600])
    rounds = _values(panel, BLUE, FAINT)
    assert rounds[:3] == pytest.approx([1000, 2000, 4000])
    assert len(rounds) == 3 * 7
    strokes = [
        10 ** float(path.vertices[0][0])
        for collection in drawn(panel).collections
        if collection.get_linewidths()[0] == 2
        for path in collection.get_paths()
    ]
    assert strokes == pytest.approx([16000, 2000])


def test_ratios_are_drawn_with_their_interval(folder: Path) -> None:
    """async-32: a quarter, and 2.5 % to each side."""
    panel = panels(made(folder))["Throughput, ratio to aiohttp"]
    assert _values(panel, ORANGE)[0] == pytest.approx(0.25)
    bars = [
        [10 ** float(x) for x, _ in path.vertices]
        for collection in drawn(panel).collections
        if collection.get_linewidths()[0] == 2.2
        for path in collection.get_paths()
    ]
    reach = 4.302653 * 0.01 / math.sqrt(3)
    assert bars[0] == pytest.approx([0.25 * math.exp(-reach), 0.25 * math.exp(reach)], rel=1e-5)


def test_a_curve_goes_through_the_percentiles(folder: Path) -> None:
    """async-32, aiohttp: marks at p50, p90, p99, p99.9 and the maximum of the middle Round."""
    found = marks(panels(made(folder))["async-32, ms"], BLUE, 4.0)
    assert [10**y for _, y in found] == pytest.approx([2, 4, 8, 16, 16])
    assert [x for x, _ in found[1:4]] == pytest.approx([1.0, 2.0, 3.0])


def test_every_round_is_drawn_faintly(folder: Path) -> None:
    """Three Rounds: the slowest reaches 32 ms, the fastest 8 ms."""
    axes = drawn(panels(made(folder))["async-32, ms"])
    faint = [line for line in axes.lines if line.get_alpha() and line.get_color() == BLUE]
    assert len(faint) == 1
    ends = [10**y for y in faint[0].get_ydata() if not math.isnan(y)]
    assert (min(ends), max(ends)) == pytest.approx((1.0, 32.0))


def test_many_rounds_are_a_band() -> None:
    """Of more than twelve Rounds the reach is drawn instead of each."""
    curves = [Curve((50.0, 99.0), (1.0 + n, 2.0 + n), 3.0 + n) for n in range(13)]
    axes = drawn(kinds.percentiles("many", {"a": curves}, looks(["a"], None)))
    assert len(axes.collections) == 1
    band = axes.collections[0].get_paths()[0].vertices
    assert 10 ** float(min(y for _, y in band)) == pytest.approx(1.0)
    assert 10 ** float(max(y for _, y in band)) == pytest.approx(15.0)


def test_the_cliff_has_its_arithmetic_drawn_in(folder: Path) -> None:
    """Six threads of which each takes 0.05 s a call give 120 a second, and no more."""
    axes = drawn(panels(made(folder))["Throughput, requests/s"])
    level = [line for line in axes.lines if line.get_color() == INK]
    assert [line.get_ydata()[0] for line in level] == [120.0]
    assert [text.get_text() for text in axes.texts] == ["6 threads ÷ 0.05 s = 120/s"]
    assert marks(panels(made(folder))["Throughput, requests/s"], BLUE, 4.5) == [
        (2.0, 80.0),
        (4.0, 120.0),
    ]


def test_a_bar_is_made_of_its_parts(folder: Path) -> None:
    """sync-32, aiohttp, 2 ms: a quarter before, a quarter waiting, an eighth inside, the rest."""
    axes = drawn(panels(made(folder))["Share of the mean service time, %"])
    widths = [float(bar.get_width()) for bar in axes.patches]
    assert widths[12:16] == pytest.approx([25.0, 25.0, 12.5, 37.5])
    assert sum(widths[:4]) == pytest.approx(100.0)


def test_a_stall_shows_in_the_timeline(folder: Path) -> None:
    """Round two has a second of 40 requests, at 950 ms."""
    rates = drawn(panels(made(folder))["async-32: requests/s"]).lines[0]
    times = drawn(panels(made(folder))["async-32: response p99, ms"]).lines[0]
    assert min(y for y in rates.get_ydata() if not math.isnan(y)) == 40.0
    worst = max((y, x) for x, y in zip(times.get_xdata(), times.get_ydata(), strict=True) if y == y)
    assert (10 ** worst[0], worst[1]) == (pytest.approx(950.0), 1.5)


def test_a_long_timeline_keeps_its_worst_seconds() -> None:
    """Of an hour at most so many points are drawn, and a single bad second is among them."""
    track = Track()
    for second in range(3600):
        track.from_s.append(float(second))
        track.to_s.append(second + 1.0)
        track.values["throughput_rps"].append(3.0 if second == 1234 else 1000.0)
        track.values["response_time_p99_ms"].append(math.nan)
    times, values = track.drawn("throughput_rps")
    assert len(times) <= MOST_POINTS
    assert (min(values), times[values.index(3.0)]) == (3.0, 1234.5)
    assert track.drawn("response_time_p99_ms") == ([], [])
    assert track.worst("throughput_rps") == (1234.0, 3.0)


def test_percentiles_are_by_nearest_rank(folder: Path) -> None:
    """100 values: the 50th is in the first bucket, the 51st in the second."""
    put(
        folder,
        HISTOGRAMS,
        [
            {"run_id": "a", "load": "b", "quantity": "response_time", "upper_us": u, "count": c}
            for u, c in ((2000, 50), (1000, 50))
        ],
    )
    found = distributions(folder, [])["a", "b", "response_time"]
    assert (found.count, found.at(50.0), found.at(50.1), found.maximum) == (100, 1.0, 2.0, 2.0)


def test_looks_differ_without_colour() -> None:
    """No two of twelve stacks have both line and marker in common; the yardstick has its own."""
    found = looks([*(f"stack-{n}" for n in range(12)), "asyncio"], "asyncio")
    for one, other in combinations(found.values(), 2):
        assert (one.dash, one.marker) != (other.dash, other.marker)
    assert found["asyncio"].colour == INK


def test_a_stack_looks_the_same_everywhere(folder: Path) -> None:
    """Every picture with stacks in it has no colours but theirs."""
    report = made(folder)
    for title, panel in panels(report).items():
        if title.startswith("Share"):
            continue
        colours = {line.get_color() for line in drawn(panel).lines}
        assert colours <= {BLUE, ORANGE, INK}, title


def test_a_picture_holds_no_size_colour_or_font_of_its_own(folder: Path) -> None:
    """It is as wide as its place, its text has the colour of the page, its ids are its own."""
    found = panels(made(folder))["async-32, ms"]
    one, other = svg.svg(found, "one"), svg.svg(found, "other")
    assert INK not in one and "currentColor" in one
    assert "<style" not in one and "font-family" not in one and "<metadata" not in one
    ids = [set(re.findall(r' id="([^"]*)"', text)) for text in (one, other)]
    assert ids[0] and not ids[0] & ids[1]
    used = set(re.findall(r'(?:href="|url\()#([^")]*)', one))
    assert used == ids[0]


@pytest.mark.parametrize(
    "values",
    [(0.0, 0.0), (1e-9, 1e9), (5.0, 5.0), (0.0, 1e18), (-3.0, -1.0), (1e-300, 1e-3)],
)
def test_odd_readings_can_be_drawn(values: tuple[float, float]) -> None:
    """Zeros, huge and tiny ones, and growth below zero: there is a scale with a few ticks."""
    look = looks(["a"], None)["a"]
    line = kinds.Line("odd", (kinds.Dot(look, values[0], None, values),))
    axes = drawn(kinds.dots("odd", [line]))
    low, high = axes.get_xlim()
    assert low < high
    assert 1 <= len([tick for tick in axes.get_xticks() if low <= tick <= high]) <= 12
