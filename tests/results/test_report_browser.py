"""A real Chromium opens the report from disk: nothing fetched, nothing wrong, nothing cut off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopbench.results.folder.folder import load
from loopbench.results.report import write
from loopbench.results.stats.summary import summarise
from tests.results import chromium, report_folder
from tests.results.chromium import Page

PHONE, DESK = 390, 1280
PAPER = 703
"""A4 between margins of 12 mm."""

pytestmark = pytest.mark.skipif(
    chromium.installed() is None, reason="no Chromium is installed (Debian: apt install chromium)"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = report_folder.write(tmp_path / "known")
    loaded = load(folder)
    (written,) = write.write(loaded, summarise(loaded), ["html"])
    return written


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium.browser() as found:
        yield found


SIZES = """[...document.querySelectorAll('.panel svg')].map(svg => {
  const box = svg.getBoundingClientRect(), inner = svg.getBBox();
  return [box.width, box.height, inner.width, inner.height];
})"""

CUT_OFF = """[...document.querySelectorAll('.panel svg')].flatMap(svg => {
  const outer = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(text => {
    const box = text.getBoundingClientRect();
    return box.left < outer.left - 1 || box.right > outer.right + 1
      || box.top < outer.top - 1 || box.bottom > outer.bottom + 1;
  }).map(text => text.textContent);
})"""

ON_ONE_ANOTHER = """[...document.querySelectorAll('.panel svg')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].map(
    text => [text.textContent, text.getBoundingClientRect()]);
  const found = [];
  boxes.forEach(([one, a], place) => boxes.slice(place + 1).forEach(([other, b]) => {
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3) found.push([one, other]);
  }));
  return found;
})"""

OUTSIDE = """[...document.querySelectorAll('body *')].filter(element =>
  !element.closest('.wide, svg') && element.getBoundingClientRect().right > innerWidth + 0.5
).map(element => element.tagName + ': ' + element.textContent.slice(0, 60))"""

SHADES = """(element => {
  const style = getComputedStyle(element);
  return [style.color, getComputedStyle(document.body).backgroundColor];
})(document.querySelector('.panel svg text'))"""


def _luminance(colour: str) -> float:
    red, green, blue = (int(part) / 255 for part in colour.strip("rgb()").split(",")[:3])
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it, 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _nothing_wrong(page: Page, file: Path) -> None:
    told = page.told("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    assert told == []
    asked = [event["request"]["url"] for event in page.told("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]


def test_it_opens_from_disk_without_error_or_network(page: Page, file: Path) -> None:
    """The console stays empty, the only request is for the file itself; all plots are there."""
    page.open(file, DESK)
    _nothing_wrong(page, file)
    sizes: list[list[float]] = page.value(SIZES)
    assert len(sizes) == file.read_text(encoding="utf-8").count('class="panel"') > 20
    assert min(min(size) for size in sizes) > 20
    assert page.value(CUT_OFF) == []
    assert page.value(ON_ONE_ANOTHER) == []


def test_on_a_phone_nothing_overflows(page: Page, file: Path) -> None:
    """390 px: the page is not wider than that; only tables scroll, each in its own place."""
    page.open(file, PHONE)
    _nothing_wrong(page, file)
    assert page.value("innerWidth") == PHONE
    assert page.value("document.documentElement.scrollWidth") <= PHONE
    assert page.value("document.body.scrollWidth") <= PHONE
    assert page.value(OUTSIDE) == []
    assert page.value(CUT_OFF) == []
    assert page.value(ON_ONE_ANOTHER) == []


@pytest.mark.parametrize("dark", [False, True])
def test_text_in_plots_can_be_read_in_light_and_dark(page: Page, file: Path, dark: bool) -> None:
    """It has the colour of the page's text, whose contrast is more than 7 to 1."""
    page.open(file, DESK, dark=dark)
    text, paper = page.value(SHADES)
    assert _contrast(text, paper) > 7
    assert (_luminance(paper) < 0.1) is dark


def test_in_print_the_folded_tables_are_open_and_nothing_is_lost(page: Page, file: Path) -> None:
    """On paper there is nothing to click: every table has its height, the page is light."""
    page.open(file, PAPER)
    page.order("Emulation.setEmulatedMedia", media="print", features=_DARK)
    heights: list[float] = page.value(
        "[...document.querySelectorAll('details table')].map(t => t.getBoundingClientRect().height)"
    )
    assert heights and min(heights) > 20
    _, paper = page.value(SHADES)
    assert paper == "rgb(255, 255, 255)"
    assert page.value("document.querySelector('main').scrollWidth") <= PAPER


_DARK: list[dict[str, Any]] = [{"name": "prefers-color-scheme", "value": "dark"}]


def test_every_link_leads_somewhere(page: Page, file: Path) -> None:
    """Each anchor of the page is there, and no id stands there twice."""
    page.open(file, DESK)
    lost = page.value(
        "[...document.querySelectorAll('a, use')].map(e => e.getAttribute('href') || "
        "e.getAttribute('xlink:href')).filter(h => !document.getElementById(h.slice(1)))"
    )
    assert lost == []
    ids: list[str] = page.value("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids)), json.dumps(sorted(i for i in ids if ids.count(i) > 1))
