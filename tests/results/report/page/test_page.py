"""What report.html promises before any browser opens it: its policy, its colours, its size."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from loopbench.results.report.blocks import Table, Text
from loopbench.results.report.page import html
from tests.conftest import ROOT
from tests.results.examples import report_folder
from tests.results.report.page.contrast import contrast
from tests.results.report.reports import Page, made

REFERENCE = ROOT / "results" / "reference"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return html.render(made(report_folder.write(tmp_path_factory.mktemp("page") / "known")))


def _between(page: str, tag: str) -> str:
    (found,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return str(found)


def test_style_and_script_are_named_by_their_hashes(page: str) -> None:
    """And nothing else may be loaded or run: one style, one script, no attribute of either kind."""
    (policy,) = (
        attributes["content"]
        for tag, attributes in Page(page).tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    hashes = {
        tag: base64.b64encode(hashlib.sha256(_between(page, tag).encode()).digest()).decode()
        for tag in ("style", "script")
    }
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{hashes['script']}'; "
        f"style-src 'sha256-{hashes['style']}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert not [tag for tag, attributes in Page(page).tags if "style" in attributes]


def _properties(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z0-9]+):\s*(#[0-9a-f]{6});", block))


def _themes(page: str) -> dict[str, dict[str, str]]:
    """The custom properties of each theme, as a browser comes to them: later rules win."""
    style = _between(page, "style")
    dark = re.findall(
        r"@media screen and \(prefers-color-scheme:\s*dark\)\s*\{\s*:root\s*\{([^}]*)\}", style
    )
    outside = re.sub(r"@media[^{]*\{\s*:root\s*\{[^}]*\}", "", style)
    light = re.findall(r":root\s*\{([^}]*)\}", outside)
    found: dict[str, dict[str, str]] = {"light": {}, "dark": {}}
    for block in light:
        found["light"] |= _properties(block)
    found["dark"] |= found["light"]
    for block in dark:
        found["dark"] |= _properties(block)
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_stands_out(page: str, theme: str) -> None:
    """Text, links and the colour of every stack at 4.5 to 1 on both of the page's grounds."""
    colours = _themes(page)[theme]
    written = [name for name in colours if name not in ("paper", "panel", "rule")]
    assert {"ink", "soft", "accent", "c0", "c5"} <= set(written)
    low = {
        (name, ground): ratio
        for name, ground in product(written, ("paper", "panel"))
        if (ratio := contrast(colours[name], colours[ground])) < 4.5
    }
    assert low == {}
    assert (contrast(colours["paper"], "#000000") < 3) is (theme == "dark")


def test_the_headline_is_one_clause(tmp_path: Path) -> None:
    """Nothing is strung to it, neither of a pair of stacks nor of many."""
    folder = report_folder.write(tmp_path / "known")
    (first, *_) = (part for part in made(folder).sections[0].parts if isinstance(part, Text))
    assert first.strong
    said = "".join(map(str, first.words))
    assert not re.search(r"[;:]|, ", said)
    assert said.endswith(".")


def test_a_long_text_breaks_in_names_and_in_no_number(tmp_path: Path) -> None:
    """A line may end after a dot, a slash or an underscore of a name, and before no decimal."""
    told = "it took 152.4 of 178.9 ms, or so"
    row = ("hypercorn/asyncio/tcp_server.py:83 TCPServer.protocol_send", told)
    table = Table("Stalls", ("place", "told by"), (row,), names=2)
    document = made(report_folder.write(tmp_path / "known"))
    section = replace(document.sections[0], parts=(table,))
    page = html.render(replace(document, sections=(section,)))
    assert (
        "hypercorn/<wbr>asyncio/<wbr>tcp_<wbr>server.<wbr>py:83 TCPServer.<wbr>protocol_<wbr>send"
        in page
    )
    assert told in page


def test_the_largest_published_run_is_below_a_megabyte() -> None:
    """All of it, so that the first paint waits for less than that."""
    sizes = {path.parent.name: path.stat().st_size for path in REFERENCE.rglob("report.html")}
    assert len(sizes) == 4
    assert max(sizes.values()) < 1e6, sizes


def test_the_script_is_small_and_whole(page: str) -> None:
    """A few hundred lines, in a file of its own, that ends up in the page as it is."""
    script = (ROOT / "results" / "report" / "page" / "page.js").read_text(encoding="utf-8")
    assert _between(page, "script") == script
    assert script.count("\n") < 500
    assert not re.search(
        r"\beval\b|innerHTML|fetch\(|XMLHttpRequest|https?:(?!//www.w3.org)", script
    )
