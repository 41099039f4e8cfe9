"""A real Chromium opens the report from disk: nothing fetched, nothing wrong, nothing cut off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from loopbench.results.folder.folder import load
from loopbench.results.report import write
from loopbench.results.stats.summaries.summary import summarise
from tests.conftest import ROOT, none_left
from tests.results.examples import report_folder
from tests.results.report.page import chromium
from tests.results.report.page.chromium import Page
from tests.results.report.page.contrast import contrast, luminance

PHONE, LAPTOP, DESK = 390, 1100, 1400
PAPER = 703
"""A4 between margins of 12 mm."""

SHEET = 1_020
"""Its height in px, likewise."""

pytestmark = pytest.mark.skipif(
    chromium.installed() is None, reason="no Chromium is installed (Debian: apt install chromium)"
)


@pytest.fixture(scope="module", autouse=True)
def no_process_left() -> Iterator[None]:
    """Over the whole module, whose tests share a browser: it starts processes as it likes."""
    with none_left():
        yield


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = report_folder.write(tmp_path_factory.mktemp("report") / "known")
    loaded = load(folder)
    (written,) = write.write(loaded, summarise(loaded), ["html"])
    return written


@pytest.fixture(scope="module")
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
  !element.closest('.wide, svg, .skip') && element.getBoundingClientRect().right > innerWidth + 0.5
).map(element => element.tagName + ': ' + element.textContent.slice(0, 60))"""

SHADES = """(element => {
  const style = getComputedStyle(element);
  return [style.color, getComputedStyle(document.body).backgroundColor];
})(document.querySelector('.panel svg text'))"""


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


TOO_WIDE = """[...document.querySelectorAll('.wide')].filter(
  wide => wide.scrollWidth > wide.clientWidth).map(wide => wide.getAttribute('aria-labelledby'))"""


def test_on_a_laptop_nothing_is_cut_off(page: Page, file: Path) -> None:
    """1,100 px: every table has room for all of its columns."""
    page.open(file, LAPTOP)
    page.value("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.value(OUTSIDE) == []
    assert page.value(TOO_WIDE) == []
    assert page.value("document.documentElement.scrollWidth") <= LAPTOP


@pytest.mark.published
@pytest.mark.parametrize("run", ["", "bench", "data", "stacks"])
def test_in_a_published_report_nothing_is_cut_off(page: Page, run: str) -> None:
    """1,100 px: not even where a dozen stacks, or some forty scenarios, were measured."""
    page.open(ROOT / "results" / "reference" / run / "report.html", LAPTOP)
    page.value("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.value(TOO_WIDE) == []
    assert page.value(OUTSIDE) == []


@pytest.mark.parametrize("dark", [False, True])
def test_text_in_plots_can_be_read_in_light_and_dark(page: Page, file: Path, dark: bool) -> None:
    """It has the colour of the page's text, whose contrast is more than 7 to 1."""
    page.open(file, DESK, dark=dark)
    text, paper = page.value(SHADES)
    assert contrast(text, paper) > 7
    assert (luminance(paper) < 0.1) is dark


def test_in_print_the_folded_tables_are_open_and_nothing_is_lost(page: Page, file: Path) -> None:
    """On paper there is nothing to click: every table has its height, the page is light."""
    page.open(file, PAPER)
    page.order("Emulation.setEmulatedMedia", media="print", features=_DARK)
    heights: list[float] = page.value(
        "[...document.querySelectorAll('details table')].map(t => t.getBoundingClientRect().height)"
    )
    assert heights and min(heights) > 20
    shown = "[...document.querySelectorAll('nav, form, .tools')].map(one => one.offsetHeight)"
    assert set(page.value(shown)) == {0}
    _, paper = page.value(SHADES)
    assert paper == "rgb(255, 255, 255)"
    assert page.value("document.querySelector('main').scrollWidth") <= PAPER
    # The names of columns on each sheet of a table: a button with a box of its own keeps Chromium
    # from that.
    assert page.value("getComputedStyle(document.querySelector('th button')).display") == "contents"


def test_in_print_no_note_is_larger_than_the_text(page: Page, file: Path) -> None:
    """What is said in units of the page's root shrinks with the text."""
    page.open(file, PAPER)
    page.order("Emulation.setEmulatedMedia", media="print")
    sizes: list[list[float]] = page.value(_NOTES_AND_TEXT)
    notes, (text,) = sizes
    assert notes and max(notes) <= text


_NOTES_AND_TEXT = """['.questions details li, figcaption, .keys, summary, .caption', 'body'].map(
  one => [...document.querySelectorAll(one)].map(e => parseFloat(getComputedStyle(e).fontSize)))"""


def test_in_print_a_tall_picture_is_on_one_sheet_with_its_caption(page: Page, file: Path) -> None:
    """From the heading to the end of the first panel, however many rows the panel has: what does
    not fit on one sheet would be parted from its title."""
    page.open(file, PAPER)
    page.order("Emulation.setEmulatedMedia", media="print")
    assert page.value(_STRETCHED) > 0
    heights: list[float] = page.value(_TO_THE_FIRST_PANEL)
    assert heights and max(heights) <= SHEET


_STRETCHED = """[...document.querySelectorAll('.panel svg')].map(one => {
  const [x, y, width, height] = one.getAttribute('viewBox').split(' ').map(Number);
  one.setAttribute('viewBox', [x, y, width, 10 * height].join(' '));
}).length"""
_TO_THE_FIRST_PANEL = """[...document.querySelectorAll('figure:has(.panel)')].map(one => {
  let begin = one;
  while (/^(FIGURE|H3)$/.test(begin.tagName)) begin = begin.previousElementSibling;
  const above = begin.tagName === 'H2' ? begin.getBoundingClientRect().top
    : begin.getBoundingClientRect().bottom;
  return one.querySelector('.panel').getBoundingClientRect().bottom - above;
})"""
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


TABLE = """(title => {
  const table = [...document.querySelectorAll('table')].find(
    table => document.getElementById(table.id + '-title').textContent === title);
  const head = [...table.querySelectorAll('thead th')];
  return {
    id: table.id,
    head: head.map(th => th.textContent),
    sort: head.map(th => th.getAttribute('aria-sort')),
    rows: [...table.querySelectorAll('tbody tr')].filter(row => !row.hidden)
      .map(row => [...row.cells].map(cell => cell.textContent)),
  };
})(%s)"""
TIMES = "Response times in ms: the median over the Rounds of each Round's percentile"


def _table(page: Page, title: str = TIMES) -> dict[str, Any]:
    found: dict[str, Any] = page.value(TABLE % json.dumps(title))
    return found


def _focus(page: Page, selector: str) -> None:
    """As Tab would: a button, a field or a box that can have it."""
    page.value(f"document.querySelector({json.dumps(selector)}).focus()")
    assert page.value(f"document.activeElement.matches({json.dumps(selector)})")


def test_a_table_is_sorted_by_keyboard(page: Page, file: Path) -> None:
    """Enter on a column's name: figures from the highest down, then up, then as it was; and what
    is sorted by which column is told to a screen reader."""
    page.open(file, DESK)
    before = _table(page)
    column = before["head"].index("p99 ms")
    _focus(page, f"#{before['id']} thead th:nth-child({column + 1}) button")
    seen = []
    for _ in range(3):
        page.press("Enter", "\r")
        now = _table(page)
        seen.append((now["sort"][column], [row[column] for row in now["rows"]]))
    figures = [row[column] for row in before["rows"]]
    down = sorted(figures, key=float, reverse=True)
    assert seen == [
        ("descending", down),
        ("ascending", sorted(figures, key=float)),
        (None, figures),
    ]
    assert figures != down
    _nothing_wrong(page, file)


def test_names_are_sorted_as_names(page: Page, file: Path) -> None:
    """The first column from a to z, with numbers in names as numbers."""
    page.open(file, DESK)
    title = "Throughput and CPU per request by scenario and stack"
    _focus(page, f"#{_table(page, title)['id']} thead th:nth-child(1) button")
    page.press("Enter", "\r")
    names = list(dict.fromkeys(row[0] for row in _table(page, title)["rows"]))
    cliffs = [name for name in names if name.startswith("cliff")]
    assert cliffs == ["cliff-4", "cliff-8", "cliff-16"]
    assert names[0] == "async-32"


def test_rows_are_filtered_by_keyboard(page: Page, file: Path) -> None:
    """Words that a row must hold; how many are left is told."""
    page.open(file, DESK)
    before = _table(page)
    _focus(page, f"div:has(+ .wide #{before['id']}) input")
    page.write("burn quart")
    now = _table(page)
    assert [row[:2] for row in now["rows"]] == [
        ["neighbour-burn-async", "quart-hypercorn"],
        ["neighbour-burn-sync", "quart-hypercorn"],
    ]
    told = page.value(
        f"document.querySelector('div:has(+ .wide #{before['id']}) span').textContent"
    )
    assert told == f"2 of {len(before['rows'])} rows"
    _nothing_wrong(page, file)


VIEW = """({
  rows: [...document.querySelectorAll('tbody tr')].filter(row => !row.hidden).length,
  stacks: [...new Set([...document.querySelectorAll('.dot[data-s], .course[data-s]')]
    .filter(one => !one.closest('[hidden]')).map(one => one.dataset.s))].sort(),
  scenarios: [...new Set([...document.querySelectorAll('[data-k]')]
    .filter(one => !one.closest('[hidden]')).map(one => one.dataset.k))].sort(),
  keys: [...new Set([...document.querySelectorAll('.keys li')].filter(key => !key.hidden)
    .map(key => key.textContent.trim()))],
  boxes: [...document.querySelectorAll('form input')].map(box => box.checked),
  ticks: [...document.querySelectorAll('.zoom .tick')].map(tick => tick.textContent),
})"""


def test_a_copied_address_restores_the_view(page: Page, file: Path) -> None:
    """A stack left out with the blank key, one scenario, a sorted and filtered table, a picture
    that was zoomed into: opened elsewhere the same is shown, and all again when asked for."""
    page.open(file, DESK)
    whole = page.value(VIEW)
    _focus(page, 'input[name="stack"][value="asyncio"]')
    page.press(" ", " ")
    page.value("document.querySelector('#choice details').open = true")
    _focus(page, "#none")
    page.press("Enter", "\r")
    _focus(page, 'input[name="scenario"][value="async-32"]')
    page.press(" ", " ")
    before = _table(page)
    column = before["head"].index("p99 ms")
    _focus(page, f"#{before['id']} thead th:nth-child({column + 1}) button")
    page.press("Enter", "\r")
    _focus(page, ".zoom + .tools button")
    page.press("Enter", "\r")
    chosen, table, address = page.value(VIEW), _table(page), page.value("location.href")
    assert chosen["stacks"] == ["0", "1"]
    assert chosen["scenarios"] == ["async-32"]
    assert "asyncio" not in chosen["keys"]
    assert chosen["rows"] < whole["rows"]
    assert chosen["ticks"] != whole["ticks"]
    assert [row[:2] for row in table["rows"]] == [
        ["async-32", "quart-hypercorn"],
        ["async-32", "aiohttp"],
    ]
    assert page.value("document.getElementById('view').href") == address

    page.open(file, DESK, fragment=f"#{address.partition('#')[2]}")
    assert (page.value(VIEW), _table(page)) == (chosen, table)
    _nothing_wrong(page, file)

    _focus(page, '#choice button[type="reset"]')
    page.press("Enter", "\r")
    assert page.value(VIEW) == whole
    assert page.value("location.hash") in ("", "#")


SENTENCES = """[...document.querySelectorAll('main section > p, main section > ul > li,'
    + ' .questions span')
  ].filter(one => !one.matches('.caption, .scope, .left-out, #missing *')).map(one => {
  const said = one.cloneNode(true);
  said.querySelectorAll('code').forEach(code => code.textContent.includes(' ') && code.remove());
  return [said.textContent.trim(), one.checkVisibility()];
})"""
"""Without commands, which may name any stack."""

SCOPES = """[...document.querySelectorAll('.scope')].map(
  line => [line.parentElement.id, line.hidden ? '' : line.textContent])"""


def test_a_sentence_that_names_what_is_hidden_is_hidden(page: Page, file: Path) -> None:
    """With the stack or scenario that it names; a name inside a longer one is another. A line
    says how many sentences of the section are left out; all are there again when asked for."""
    page.open(file, DESK)
    assert all(visible for _, visible in page.value(SENTENCES))
    assert {text for _, text in page.value(SCOPES)} == {""}

    page.open(file, DESK, fragment="#stack=asyncio&stack=aiohttp")
    told = page.value(SENTENCES)
    named = [visible for text, visible in told if "quart-hypercorn" in text]
    others = [visible for text, visible in told if "quart-hypercorn" not in text]
    assert len(named) > 5
    assert not any(named)
    assert len(others) > 5
    assert all(others)
    scopes = dict(page.value(SCOPES))
    count = page.value("document.querySelectorAll('#answer [data-about][hidden]').length")
    assert scopes["answer"] == f"Left out here: {count} sentences that name what is hidden."

    page.open(file, DESK, fragment="#scenario=async-32")
    told = page.value(SENTENCES)
    visible = [text for text, shown in told if shown]
    assert any("in async-32" in text for text in visible)
    assert any(" sync-32" in text for text, shown in told if not shown)
    assert not any(" sync-32" in text for text in visible)

    _focus(page, '#choice button[type="reset"]')
    page.press("Enter", "\r")
    assert all(visible for _, visible in page.value(SENTENCES))
    _nothing_wrong(page, file)


def test_a_question_whose_answer_is_hidden_says_so(page: Page, file: Path) -> None:
    """The question stays, with a word in the answer's place."""
    page.open(file, DESK, fragment="#stack=asyncio")
    first = "document.querySelector('.questions > li')"
    assert page.value(f"{first}.innerText").split("\n")[0] == (
        "How much faster is one than the other, and at what? The answer names what is hidden. More"
    )
    assert page.value(f"{first}.querySelectorAll('[data-answer]:not([hidden])').length") == 0


def test_a_link_to_a_section_keeps_the_view(page: Page, file: Path) -> None:
    """Following one, and then sending the address, shows the same stacks at that section."""
    page.open(file, DESK, fragment="#stack=aiohttp")
    page.value(
        "new Promise(done => { addEventListener('hashchange', done);"
        " document.querySelector('nav a[href=\"#times\"]').click(); }).then(() => 0)"
    )
    assert page.value("location.hash") == "#stack=aiohttp&at=times"
    assert page.value(VIEW)["stacks"] == ["0"]


@pytest.mark.parametrize(
    "fragment",
    ["#stack=%3Cimg%3E", "#sort=t999.1.up", "#sort=t1.x.y&find=&zoom=picture-1%20a%20b", "#=&==&a"],
)
def test_nonsense_in_the_address_shows_the_page(page: Page, file: Path, fragment: str) -> None:
    """What does not exist is passed over, without an error."""
    page.open(file, DESK, fragment=fragment)
    told = page.told("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    assert told == []
    assert page.value("document.querySelectorAll('section').length") > 10


FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Until what was begun is drawn, and its events are over."""

TIP = """new Promise(done => {
  const tip = document.getElementById('tip'), last = performance.now() + 5000;
  const look = () => !tip.hidden || performance.now() > last
    ? done(tip.textContent) : requestAnimationFrame(look);
  look();
})"""


def _pointed(page: Page, selector: str) -> str:
    """What is told where the pointer stands on the middle of an element."""
    element = f"document.querySelector({json.dumps(selector)})"
    page.value(f"{element}.scrollIntoView({{block: 'center'}})")
    page.value(FRAMES)
    box = page.value(
        f"(b => [b.x + b.width / 2, b.y + b.height / 2])({element}.getBoundingClientRect())"
    )
    page.point(*box)
    told: str = page.value(TIP)
    return told


def test_values_are_told_at_the_pointer(page: Page, file: Path) -> None:
    """Of a mark the ratio in full; of a curve the percentile, read back from the axes."""
    page.open(file, DESK)
    assert _pointed(page, "#answer .dot .mark") == (
        "async-32, quart-hypercorn: 0.250x [0.246–0.254]"
    )
    mark = '#times .panel[data-k="async-32"] .course[data-s="0"] .mark:nth-of-type(5)'
    assert _pointed(page, mark) == "aiohttp, p99: 8"
    page.point(2, 2)
    page.value(FRAMES)
    assert page.value("document.getElementById('tip').hidden")


def test_nothing_but_the_pages_own_script_runs(page: Page, file: Path) -> None:
    """The policy lets no other script, style or picture in, whoever would put it there."""
    page.open(file, DESK)
    page.value(
        "new Promise(done => {"
        " window.refused = [];"
        " document.addEventListener('securitypolicyviolation', event => {"
        "  refused.push(event.effectiveDirective); if (refused.length === 3) done(); });"
        " const script = document.createElement('script'); script.textContent = 'window.ran = 1';"
        " document.body.append(script);"
        " const picture = new Image(); picture.src = 'file:///nothing.png';"
        " document.body.setAttribute('style', 'color: red'); })"
    )
    assert page.value("window.ran") is None
    assert sorted(page.value("refused")) == ["img-src", "script-src-elem", "style-src-attr"]


def test_everything_can_be_read_without_the_script(page: Page, file: Path) -> None:
    """Nothing is hidden but what only the script could do."""
    page.open(file, DESK)
    whole = page.value(VIEW)
    page.order("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(file, DESK)
        bare = page.value(VIEW)
        buttons = page.value("document.querySelectorAll('thead button').length")
        hidden = page.value("[...document.querySelectorAll('[hidden]')].map(one => one.id)")
    finally:
        page.order("Emulation.setScriptExecutionDisabled", value=False)
    assert bare["rows"] == whole["rows"]
    assert (bare["stacks"], bare["scenarios"]) == (whole["stacks"], whole["scenarios"])
    assert (buttons, hidden) == (0, ["choice"])


VIOLATIONS = """axe.run(document, {resultTypes: ['violations'], preload: false%s}).then(
  found => found.violations.map(
    rule => [rule.id, rule.nodes.slice(0, 3).map(node => node.html.slice(0, 200))]))"""


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(page: Page, file: Path, dark: bool) -> None:
    """No violation of any of axe-core's rules with every table open; in the dark of those about
    contrast, which alone is another. Of each table two rows are left, and of each picture one: the
    others are made alike."""
    package = find_spec("axe_core_python")
    assert package is not None and package.origin is not None
    script = Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    page.open(file, DESK, dark=dark)
    page.value(
        "document.querySelectorAll('details').forEach(one => { one.open = true; });"
        "document.querySelectorAll('tbody tr:nth-child(n+3), .panel:nth-child(n+2), .row ~ .row')"
        ".forEach(one => one.remove())"
    )
    page.value(f"{script};0")
    rules = ", runOnly: ['color-contrast']" if dark else ""
    assert page.value(VIOLATIONS % rules) == []
    assert page.value("axe.version") >= "4"
