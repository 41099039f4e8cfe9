"""`python -m results picture`: one SVG that stands by itself."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from tests.forked import Program
from tests.results.examples import report_folder


def test_the_picture_shows_the_scenarios_asked_for(tmp_path: Path, results: Program) -> None:
    """Well-formed, the same each time, with every stack in its legend and nothing to fetch."""
    folder = report_folder.write(tmp_path / "known")
    assert results.run("picture", str(folder), "--scenario", "sync-32").status == 0
    text = (folder / "picture.svg").read_text()
    words = [element.text for element in ET.fromstring(text).iter() if element.text]
    assert {"aiohttp", "quart-hypercorn", "asyncio", "sync-32"} <= set(words)
    assert "async-32" not in words
    assert "http://" not in text.replace("http://www.w3.org/", "")
    other = tmp_path / "other.svg"
    again = ("--scenario", "sync-32", "--out", str(other))
    assert results.run("picture", str(folder), *again).status == 0
    assert other.read_text() == text


def test_an_unknown_scenario_is_one_line(tmp_path: Path, results: Program) -> None:
    """It says what there is; an open loop has no throughput of its own to draw."""
    folder = report_folder.write(tmp_path / "known")
    for name in ("sync-23", "open-low"):
        done = results.run("picture", str(folder), "--scenario", name)
        assert done.status == 2
        assert done.err.startswith(f"error: no closed loop '{name}' here; there are: ")
        assert done.err.count("\n") == 1
