"""Temporary folders whose owner is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loopbench.servers.supervision import scratch
from tests.conftest import ROOT

OWNER = """
import time
from loopbench.servers.supervision.scratch import scratch_folder
with scratch_folder("of_") as folder:
    (folder / "file").touch()
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def owner(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that holds a scratch folder in `tmp_path`."""
    return subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_folders_of_dead_owners_are_swept(
    owner: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose owner lives stays, and one that another program has made; so does one that is so
    young that its owner may not have locked it yet."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    others = tmp_path / "loopbench-of-another"
    others.mkdir()
    with owner:
        try:
            assert owner.stdout is not None
            folder = Path(owner.stdout.readline().strip())
            assert folder.name.startswith(f"{scratch.PREFIX}of_") and folder.parent == tmp_path
            assert folder.stat().st_mode & 0o777 == 0o700
            monkeypatch.setattr(scratch, "_BEING_MADE_S", -1.0)
            assert scratch.sweep() == []
        finally:
            owner.send_signal(signal.SIGKILL)
    monkeypatch.setattr(scratch, "_BEING_MADE_S", 60.0)
    assert scratch.sweep() == []
    monkeypatch.setattr(scratch, "_BEING_MADE_S", -1.0)
    assert scratch.sweep() == [folder]
    assert list(tmp_path.iterdir()) == [others]


def test_a_folder_is_gone_with_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its owner has removed it already."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch.scratch_folder() as folder:
        folder.rmdir()
    with scratch.scratch_folder() as folder:
        (folder / "file").touch()
    assert list(tmp_path.iterdir()) == []
