"""Text from rows never becomes markup; what cannot be read does not hide the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from loopbench.results.report import markdown
from loopbench.results.report.blocks import Bullets, Code
from loopbench.results.report.document import Document
from loopbench.results.report.page import html
from loopbench.results.schema import FAILURES, HISTOGRAMS, RUNS, Row
from tests.results.examples import report_folder
from tests.results.examples.folders import put
from tests.results.report.reports import Page, made, tables

NASTY = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>|$x^2$ `a` **b** [c](http://d) ~e~"
)
LINES = f"{NASTY}\n\n# heading\n- item\n\x1b[31m&amp;"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return report_folder.write(tmp_path / "known")


@pytest.fixture
def nasty(folder: Path) -> Path:
    """Stack, scenario, load, code, reason, example, command and facts all hold markup."""

    def spoiled(row: Row) -> Row:
        stack = f"{row['stack']}{LINES}"
        names = {name: f"{row[name]}{LINES}" for name in ("run_id", "scenario", "load")}
        return {**row, **names, "stack": stack, "warnings": f"code{NASTY}"}

    runs = [spoiled(row) for row in report_folder.run_rows()]
    put(folder, RUNS, runs)
    failure = {"run_id": runs[0]["run_id"], "load": runs[0]["load"], "count": 1}
    put(folder, FAILURES, [{**failure, "reason": LINES, "example": LINES}])
    environment = {
        **report_folder.ENVIRONMENT,
        "command": ["python", LINES],
        "machine": {"cpu_model": LINES, LINES: 1},
        "stacks": {str(runs[0]["stack"]): {"framework": LINES, "in_force": {LINES: LINES}}},
        "left_out": {LINES: LINES},
    }
    (folder / "environment.json").write_text(json.dumps(environment))
    return folder


KNOWN_TAGS = {
    *("html", "head", "meta", "link", "title", "style", "body", "header", "nav", "main"),
    *("section", "h1", "h2", "h3", "p", "ol", "ul", "li", "a", "strong", "code", "figure"),
    *("figcaption", "div", "table", "thead", "tbody", "tr", "th", "td", "wbr", "details"),
    *("summary", "svg", "g", "path", "defs", "rect", "pattern", "text"),
    *("form", "fieldset", "legend", "label", "input", "button", "span", "script"),
}


def test_in_html_it_stays_text(nasty: Path) -> None:
    """No element but ours, no attribute that runs anything, no way out of the page."""
    page = Page(html.render(made(nasty)))
    assert {tag for tag, _ in page.tags} <= KNOWN_TAGS
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert not {"src", "action", "formaction", "srcdoc"} & attributes.keys()
        for name in ("href", "xlink:href"):
            target = attributes.get(name)
            assert target is None or target.startswith("#") or (tag, target) == ("link", "data:,")
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.text.count("<script>alert(1)</script>") > 50


OUR_HTML = re.compile(
    r'<a id="[a-z]+">|</a>|<a id="[a-z]+"></a>|</?details>(<summary>[^<>]*</summary>)?'
)


def test_in_markdown_it_stays_text(nasty: Path) -> None:
    """Read by a Markdown parser: our headings, links and tables only, each with its columns."""
    report = made(nasty)
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(markdown.render(report))
    inline = [child for token in tokens for child in token.children or ()]
    for token in (*tokens, *inline):
        if token.type in ("html_block", "html_inline"):
            assert OUR_HTML.fullmatch(token.content.strip()), token.content
    assert not [child for child in inline if child.type in ("image", "s_open")]
    hrefs = {child.attrGet("href") for child in inline if child.type == "link_open"}
    assert hrefs <= {f"#{section.anchor}" for section in report.sections}
    assert (
        len([token for token in tokens if token.type == "heading_open" and token.tag == "h1"]) == 1
    )
    headers = [one.header for one in tables(report) if not _left_out(report, one.title)]
    headers += [one.table.header for one in report.questions if one.table is not None]
    shown = [token for token in tokens if token.type == "thead_open"]
    assert len(shown) == len(headers)


def _left_out(report: Document, title: str) -> bool:
    (one,) = {id(found): found for found in tables(report) if found.title == title}.values()
    return one.folded and len(one.rows) > markdown.MOST_FOLDED


def test_nothing_is_interpreted_in_pictures(nasty: Path) -> None:
    """Dollar signs set no formula, and a name ends up as text in the picture."""
    page = html.render(made(nasty))
    begin = page.index("<svg viewBox")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page[begin:]


def _problems(folder: Path) -> list[str]:
    (doubts,) = (one for one in made(folder).sections if one.anchor == "warnings")
    last = doubts.parts[-1]
    assert isinstance(last, Bullets)
    return ["".join(s if isinstance(s, str) else s.text for s in item) for item in last.items]


@pytest.mark.parametrize(
    "name",
    [
        "histograms.csv",
        "failures.csv",
        "observations.csv",
        "threads.csv",
        "timeline.csv",
        "environment.json",
        "plan.json",
    ],
)
def test_a_missing_file_is_named_and_the_rest_is_shown(folder: Path, name: str) -> None:
    """Each in turn; the answer is the same without it."""
    before = made(folder).sections[0].parts[0]
    (folder / name).unlink()
    after = made(folder)
    assert after.sections[0].parts[0] == before
    assert f"{name}: the file is missing" in _problems(folder)
    assert html.render(after)


def _cut(text: str) -> str:
    return text[: len(text) - 7]


def _newer(text: str) -> str:
    first, _, rest = text.partition("\n")
    lines = [f"{line},1" for line in rest.splitlines()]
    return "\n".join([f"{first},brand_new", *lines]) + "\n"


def _nonsense(text: str) -> str:
    lines = text.splitlines()
    lines[3] = ",".join("banana" for _ in lines[3].split(","))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("spoil", [_cut, _newer, _nonsense])
@pytest.mark.parametrize("name", ["histograms", "observations", "threads", "timeline", "failures"])
def test_a_spoiled_file_is_named_and_the_rest_is_shown(
    folder: Path, name: str, spoil: Callable[[str], str]
) -> None:
    """Cut off, of a newer version, edited into nonsense: file and row or column are told."""
    path = folder / f"{name}.csv"
    if name == "failures":
        put(folder, FAILURES, list(report_folder.failure_rows()) * 3)
    path.write_text(spoil(path.read_text()))
    assert [text for text in _problems(folder) if text.startswith(f"{name}.csv")]
    assert html.render(made(folder))


def test_the_careful_reading_of_histograms_agrees_with_the_quick_one(folder: Path) -> None:
    """One foreign cell costs its row, and no other figure."""
    title = "Response times in ms: the median over the Rounds of each Round's percentile"
    before = [one for one in tables(made(folder)) if one.title == title]
    path = folder / HISTOGRAMS.filename
    path.write_text(f"{path.read_text()}01.aiohttp.async-32,main,response_time,banana,1\n")
    after = [one for one in tables(made(folder)) if one.title == title]
    assert after == before
    assert [text for text in _problems(folder) if "banana" in text and "column upper_us" in text]


def test_counts_beyond_all_machines_are_no_counts(folder: Path) -> None:
    """A number that fits no integer of a machine is told of, not an error."""
    path = folder / HISTOGRAMS.filename
    path.write_text(f"{path.read_text()}01.aiohttp.async-32,main,response_time,1,{10**30}\n")
    assert [text for text in _problems(folder) if "histograms.csv" in text]


def test_a_bench_that_was_cut_short_says_so(folder: Path) -> None:
    """The planned Runs that are not here are counted, and stacks without a row named."""
    plan = {**report_folder.PLAN, "runs": 99, "stacks": [*report_folder.STACKS, "never-ran"]}
    (folder / "plan.json").write_text(json.dumps(plan))
    assert [text for text in _problems(folder) if "of 99 planned Runs are here" in text]
    page = Page(html.render(made(folder)))
    assert "never-ran async-32" in page.text


def test_nonsense_in_environment_is_shown_as_it_is(folder: Path) -> None:
    """Whatever JSON holds, no line of the report depends on its shape."""
    (folder / "environment.json").write_text(
        json.dumps({"schema_version": 1, "command": 5, "stacks": {"aiohttp": 3}, "machine": [1]})
    )
    report = made(folder)
    assert html.render(report)
    first = report.sections[-1].parts[0]
    assert not isinstance(first, Code)
