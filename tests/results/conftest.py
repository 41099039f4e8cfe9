"""The golden folder, written anew for each test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loopbench.results.report.questions import published
from tests.forked import Program, program
from tests.results.examples import golden


@pytest.fixture(scope="session")
def results() -> Iterator[Program]:
    """`python -m results`, imported once for all command lines that end by themselves."""
    with program("results", "loopbench.results.report.write") as ready:
        yield ready


@pytest.fixture(autouse=True)
def _nothing_published(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Reports made here hold their own rows alone, so that golden files do not change with every
    published run; `published` marks the tests that are about these."""
    if request.node.get_closest_marker("published") is None:
        monkeypatch.setattr(published, "FOLDER", Path("nowhere"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The golden folder, as `golden` in the working directory."""
    monkeypatch.chdir(tmp_path)
    return golden.write(tmp_path / "golden")
