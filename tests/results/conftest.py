"""The golden folder, written anew for each test that asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.results import golden


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The golden folder, as `golden` in the working directory."""
    monkeypatch.chdir(tmp_path)
    return golden.write(tmp_path / "golden")
