"""Pictures show the rows: places of marks and lines are read back from the SVG."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest

from loopbench.results.folder.distributions import distributions
from loopbench.results.folder.timelines import MOST_POINTS, Track
from loopbench.results.report.blocks import Panel, Plot, Table
from loopbench.results.report.charts import dots, lines, svg
from loopbench.results.report.charts.axes import Scale
from loopbench.results.report.data import Curve
from loopbench.results.report.looks import PALETTE, Look, looks
from loopbench.results.schema import HISTOGRAMS, RUNS, TIMELINE, Row
from loopbench.results.stats.intervals.location import Interval
from tests.results.examples import report_folder
from tests.results.examples.folders import put
from tests.results.report.reports import along, made, of_class, panels, picture, points

AIOHTTP, QUART = "c0", "c1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return report_folder.write(tmp_path / "known")


def _dots(panel: Panel, css: str) -> list[ET.Element]:
    """The marks of one stack with all that belongs to them, from top to bottom."""
    return [dot for dot in of_class(picture(panel), "dot") if css in dot.get("class", "").split()]


LEFT_OF_MARK = {"c0": -3.5, "c1": -3.5}
"""A circle and a square begin at their left side."""


def _centres(panel: Panel, css: str) -> list[float]:
    """The middles of the marks, without dots that have no mark."""
    marks = [mark for dot in _dots(panel, css) for mark in of_class(dot, "mark")]
    return [x - LEFT_OF_MARK[css] for mark in marks for x, _ in along(_alone(mark))]


def _alone(element: ET.Element) -> ET.Element:
    group = ET.Element("g")
    group.append(element)
    return group


class Axis:
    """Values at places of a logarithmic axis, from its labels and the grid below them."""

    def __init__(self, panel: Panel) -> None:
        root = picture(panel)
        (grid,) = of_class(root, "grid")
        places = [float(x) for x in re.findall(r"M([\d.]+) ", grid.get("d", ""))]
        labels = [text.text or "" for text in of_class(root, "tick")]
        assert len(places) == len(labels) >= 2, "a label was left out for want of room"
        values = [_number(label) for label in labels]
        self._zero = places[0], math.log10(values[0])
        self._step = (math.log10(values[-1]) - self._zero[1]) / (places[-1] - places[0])

    def value(self, x: float) -> float:
        """What stands there."""
        return float(10 ** (self._zero[1] + (x - self._zero[0]) * self._step))


def _number(label: str) -> float:
    scale = {"k": 1e3, "M": 1e6}.get(label[-1], 1.0)
    return float(label.rstrip("kM").replace(",", "")) * scale


def _about(*values: float) -> object:
    """Places are rounded to a tenth of a unit: 0.3 % of a value on these axes."""
    return pytest.approx(values, rel=4e-3)


def test_throughput_is_drawn_where_it_was_measured(folder: Path) -> None:
    """The centre of each closed loop as a mark, its Rounds as strokes, the ceiling as a bound; the
    cliff, where the executor decides, has its own section."""
    panel = panels(made(folder))["Throughput of closed loops, requests/s"]
    axis = Axis(panel)
    assert [*map(axis.value, _centres(panel, AIOHTTP))] == _about(2000, 1000, 2000, 800, 600)
    (first, *_) = _dots(panel, AIOHTTP)
    (rounds,) = of_class(first, "rounds")
    strokes = [float(x) for x in re.findall(r"M([\d.]+) ", rounds.get("d", ""))]
    assert [*map(axis.value, strokes)] == _about(1000, 2000, 4000)
    bounds = [along(_alone(bound))[0][0] for bound in of_class(picture(panel), "bound")]
    assert [*map(axis.value, bounds)] == _about(16000, 2000)


def test_ratios_are_drawn_with_their_interval(folder: Path) -> None:
    """At the top, async-32: a quarter, and 1.7 % to each side, with the same in words. Three Rounds
    vary as much in each of the scenarios: less than chance would have it, so that all have e to
    Euler's constant times their variance in common, worth four degrees of freedom beside two."""
    panel = panels(made(folder))["Requests answered, × aiohttp"]
    axis = Axis(panel)
    assert axis.value(_centres(panel, QUART)[0]) == pytest.approx(0.25, rel=4e-3)
    first = _dots(panel, QUART)[0]
    (bar,) = of_class(first, "interval")
    low, high = (float(x) for x in re.findall(r"[MH]([\d.]+)", bar.get("d", "")))
    reach = 2.446912 * 0.01 * math.sqrt((4 * math.exp(0.5772157) + 2) / 6 / 3)
    assert [axis.value(low), axis.value(high)] == _about(
        0.25 * math.exp(-reach), 0.25 * math.exp(reach)
    )
    assert first.get("data-v") == "async-32, quart-hypercorn: 0.250x [0.246–0.254]"
    assert [text.text for text in first.iter("text")] == ["async-32", "0.250x [0.246–0.254]"]


def _compared(centre: float, low: float, high: float) -> dots.Compared:
    dot = dots.Dot(Look(0, "", "circle"), centre, Interval(low, high), (), 0)
    return dots.Compared("one", dot, "said")


def test_what_may_be_chance_is_hollow() -> None:
    """A mark is filled where the interval leaves out 1, and only there."""
    alone = dots.Compared("one", dots.Dot(Look(0, "", "circle"), 1.2), "1.20x ?")
    rows = [
        ("a", "a", [_compared(1.1, 0.9, 1.3)]),
        ("b", "b", [_compared(1.2, 1.1, 1.3)]),
        ("c", "c", [alone]),
    ]
    marks = of_class(picture(dots.ratios("ratios", rows)), "mark")
    assert ["hollow" in mark.get("class", "") for mark in marks] == [True, False, True]


def test_a_ratio_without_a_place_is_said_in_words_alone() -> None:
    """Where a stack did not hold the rate there is a row, and no mark that reads as a ratio."""
    nowhere = dots.Dot(Look(0, "", "circle"), math.nan)
    rows = [
        ("a", "a", [_compared(2.0, 1.5, 2.5)]),
        ("b", "b", [dots.Compared("one", nowhere, "overloaded")]),
    ]
    _, last = of_class(picture(dots.ratios("ratios", rows)), "dot")
    assert not [*of_class(last, "mark"), *of_class(last, "interval")]
    assert [text.text for text in last.iter("text")] == ["b", "overloaded"]


def _captions(folder: Path) -> dict[str, str]:
    return {
        part.title: part.caption
        for section in made(folder).sections
        for part in section.parts
        if isinstance(part, Plot)
    }


def test_captions_say_where_the_interval_is_wider_than_the_effect(folder: Path) -> None:
    """Of every picture with stacks to compare, and only where it is so."""
    before = _captions(folder)
    assert not [title for title, said in before.items() if "wider than the effect" in said]
    rows: list[Row] = [
        {**row, "throughput_rps": 1000.0 + 10 * (int(str(row["round"])) - 2) * sign}
        for row in report_folder.run_rows()
        if row["scenario"] == "async-32" and row["stack"] != "asyncio"
        for sign in [1 if row["stack"] == "aiohttp" else -1]
    ]
    put(folder, RUNS, rows)
    after = _captions(folder)
    assert after["Every stack against aiohttp"].endswith(
        " The interval is wider than the effect (a hollow mark) for: Requests answered in async-32."
    )
    assert after["Stacks side by side"].endswith(
        " Of requests/s the interval is wider than the effect in async-32: there the stacks cannot "
        "be told apart."
    )


def _course(panel: Panel, css: str) -> ET.Element:
    (found,) = (
        course
        for course in of_class(picture(panel), "course")
        if css in course.get("class", "").split()
    )
    return found


def _heights(panel: Panel) -> dict[float, float]:
    """Value by height of an axis of values, from its labels."""
    (grid,) = (one for one in of_class(picture(panel), "grid") if "at" not in one.get("class", ""))
    places = [float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)H", grid.get("d", ""))]
    labels = [
        text.text or ""
        for text in of_class(picture(panel), "tick")
        if "at" not in text.get("class", "")
    ]
    return dict(zip(places, map(_number, labels), strict=True))


def _at(panel: Panel, heights: Sequence[float]) -> list[float]:
    known = sorted(_heights(panel).items())
    (y0, v0), (y1, v1) = known[0], known[-1]
    step = (math.log10(v1) - math.log10(v0)) / (y1 - y0)
    return [10 ** (math.log10(v0) + (y - y0) * step) for y in heights]


def test_a_curve_goes_through_the_percentiles(folder: Path) -> None:
    """async-32, aiohttp: marks at p50, p90, p99, p99.9 and the maximum of the middle Round."""
    panel = panels(made(folder))["async-32, ms"]
    marks = [along(_alone(mark))[0] for mark in of_class(_course(panel, AIOHTTP), "mark")]
    assert _at(panel, [y for _, y in marks]) == _about(2, 4, 8, 16, 16)
    (line,) = of_class(_course(panel, AIOHTTP), "line")
    assert _at(panel, [points(line)[0][1], points(line)[-1][1]]) == _about(2, 16)


def test_the_reach_of_the_rounds_is_a_band(folder: Path) -> None:
    """Three Rounds: from 1 ms of the fastest to the 32 ms of the slowest."""
    panel = panels(made(folder))["async-32, ms"]
    (band,) = of_class(_course(panel, AIOHTTP), "band")
    ends = _at(panel, [y for _, y in points(band)])
    assert [min(ends), max(ends)] == _about(1.0, 32.0)


def test_percentiles_have_the_same_axes_in_every_panel(folder: Path) -> None:
    """Labels and their heights are equal, so that a higher line is a slower one anywhere."""
    report = made(folder)
    (section,) = (one for one in report.sections if one.anchor == "times")
    (plot,) = (part for part in section.parts if isinstance(part, Plot))
    assert len(plot.panels) > 1
    first, *others = map(_heights, plot.panels)
    assert all(other == first for other in others)


def test_many_rounds_are_only_their_reach() -> None:
    """Of more than twelve Rounds no stroke is drawn, but a line from the lowest to the highest."""
    look = looks(["a"], None)["a"]
    values = tuple(10.0 + n for n in range(13))
    panel = dots.by_row("many", [dots.Line("row", (dots.Dot(look, 16.0, None, values),))])
    assert of_class(picture(panel), "rounds") == []
    assert len(of_class(picture(panel), "reach")) == 1


def test_the_cliff_has_its_arithmetic_drawn_in(folder: Path) -> None:
    """Six threads of which each takes 0.05 s a call give 120 a second, and no more; the line goes
    through every step of the users."""
    panel = panels(made(folder))["Throughput, requests/s"]
    assert [text.text for text in picture(panel).iter("text")].count(
        "6 threads ÷ 0.05 s = 120/s"
    ) == 1
    (limit,) = of_class(picture(panel), "limit")
    (line,) = of_class(_course(panel, AIOHTTP), "line")
    heights = [y for _, y in points(line)]
    assert len(heights) == 3
    assert heights[1:] == pytest.approx([along(_alone(limit))[0][1]] * 2, abs=0.06)
    assert heights[0] > heights[1]


def test_two_points_are_no_course(folder: Path) -> None:
    """Of a cliff with two steps there is the table and no picture."""
    rows = [row for row in report_folder.run_rows() if row["scenario"] != "cliff-8"]
    put(folder, RUNS, rows)
    report = made(folder)
    assert "Worker threads started" not in panels(report)
    (section,) = (one for one in report.sections if one.anchor == "pressure")
    titles = [part.title for part in section.parts if isinstance(part, Table)]
    assert titles == ["A 50 ms sync route by users (default threads)"]


def test_a_bar_is_made_of_its_parts(folder: Path) -> None:
    """sync-32, aiohttp, 2 ms: a quarter before, a quarter waiting, an eighth inside, the rest; the
    slowest stack of the scenario, 12 ms, fills the width."""
    bars = {
        dot.get("data-v", "").partition(":")[0]: [
            float(part.get("width", "")) for part in of_class(dot, "area")
        ]
        for dot in of_class(picture(panels(made(folder))["Mean service time by its parts"]), "dot")
    }
    aiohttp, quart = bars["sync-32, aiohttp"], bars["sync-32, quart-hypercorn"]
    whole = sum(aiohttp)
    assert [part / whole for part in aiohttp] == pytest.approx([0.25, 0.25, 0.125, 0.375], abs=1e-3)
    assert sum(quart) == pytest.approx(344.0, abs=0.05)
    assert whole / sum(quart) == pytest.approx(2 / 12, abs=1e-3)


def test_a_stall_shows_in_the_timeline(folder: Path) -> None:
    """Round two has a second of 40 requests, at 950 ms."""
    rates, times = (
        of_class(picture(panels(made(folder))[f"async-32: {what}"]), "line")
        for what in ("requests/s", "response p99, ms")
    )
    assert len(rates) == len(times) == 3
    lowest = [max(points(line), key=lambda point: point[1]) for line in rates]
    assert lowest[1][1] > max(lowest[0][1], lowest[2][1])
    highest = [min(points(line), key=lambda point: point[1]) for line in times]
    assert highest[1][1] < min(highest[0][1], highest[2][1])
    assert lowest[1][0] == highest[1][0] == points(rates[1])[1][0]


def test_short_runs_have_no_timeline(folder: Path) -> None:
    """In fewer than eight seconds no stall can be told from the rest."""
    rows = [row for row in report_folder.timeline_rows() if float(str(row["from_s"])) < 7]
    put(folder, TIMELINE, rows)
    assert "timeline" not in {section.anchor for section in made(folder).sections}


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
    assert found["asyncio"].css == "ink"


def test_a_stack_looks_the_same_everywhere(folder: Path) -> None:
    """In every picture its marks and lines have its colour, and no other stack has."""
    report = made(folder)
    colours: dict[str, set[str]] = {}
    for panel in panels(report).values():
        for element in picture(panel).iter():
            place = element.get("data-s")
            if place is not None and not of_class(element, "area"):
                css = element.get("class", "").split()[1]
                colours.setdefault(report.stacks[int(place)].text, set()).add(css)
    assert colours == {"aiohttp": {"c0"}, "quart-hypercorn": {"c1"}, "asyncio": {"ink"}}


def test_a_picture_holds_no_size_colour_or_font_of_its_own(folder: Path) -> None:
    """It is as wide as its place, its colours are the page's, and it has no ids."""
    text = svg.svg(panels(made(folder))["async-32, ms"], "the table")
    root = ET.fromstring(text)
    assert (root.get("width"), root.get("height")) == (None, None)
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not attributes & {"id", "style", "font-family", "fill", "stroke", "color"}
    assert root.get("aria-label") == "async-32, ms; figures in the table: the table"


@pytest.mark.parametrize(
    "values",
    [(0.0, 0.0), (1e-9, 1e9), (5.0, 5.0), (0.0, 1e18), (-3.0, -1.0), (1e-300, 1e-3)],
)
def test_odd_readings_can_be_drawn(values: tuple[float, float]) -> None:
    """Zeros, huge and tiny ones, and growth below zero: there is a scale with a few ticks."""
    look = looks(["a"], None)["a"]
    line = dots.Line("odd", (dots.Dot(look, values[0], None, values),))
    panel = dots.by_row("odd", [line])
    assert 1 <= len(of_class(picture(panel), "tick")) <= 12
    assert Scale.over(values).low < Scale.over(values).high
    course = lines.Course(look, (1.0, 2.0), values)
    assert picture(lines.courses("odd", [course], "s")).tag == "svg"


def test_a_curve_through_one_percentile_can_be_drawn() -> None:
    """A Run whose histogram is missing has a few points only."""
    curves = {"a": [Curve((50.0,), (1.0,), 3.0)]}
    scale = lines.common(curves["a"])
    panel = lines.percentiles("one", "", curves, looks(["a"], None), scale, ["a"])
    (line,) = of_class(picture(panel), "line")
    assert len(points(line)) == 2


@pytest.mark.parametrize("theme", [0, 1])
def test_every_colour_of_a_stack_is_another(theme: int) -> None:
    """On light and on dark paper."""
    assert len({pair[theme] for pair in PALETTE}) == len(PALETTE)
