"""Commands that read a folder leave every file of it as it is, but the one they are asked for."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from shutil import copyfile

import pytest
from click.testing import CliRunner

from loopbench.results.__main__ import cli
from loopbench.results.schema import ROOT

PUBLISHED = ROOT / "results"
READING = [
    ("reference/bench", "show {}", ()),
    ("reference/bench", "show --json --scenario async-* {}", ()),
    ("reference/bench", "show --wide --report {}", ("report.html", "report.md")),
    ("reference/bench", "report --format md {}", ("report.md",)),
    ("reference/bench", "picture {}", ("picture.svg",)),
    ("reference/bench", "compare {} {}", ()),
    ("reference/stacks", "split {}", ()),
    ("reference", "capacity --rps 3000 {}", ()),
    ("reference", "behaviour {}", ()),
    ("costs", "why --no-page {}", ()),
    ("costs", "why {}", ("why.html",)),
]


def _contents(folder: Path) -> dict[str, tuple[str, int]]:
    """What each file holds, and when it was written."""
    return {
        path.name: (sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.iterdir()
        if path.is_file()
    }


@pytest.mark.parametrize(("published", "command", "asked_for"), READING)
def test_reading_leaves_all(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    published: str,
    command: str,
    asked_for: tuple[str, ...],
) -> None:
    """Of a copy of a published folder whose derived tables are of another day."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in filter(Path.is_file, (PUBLISHED / published).iterdir()):
        copyfile(path, folder / path.name)
    for derived in ("summary.csv", "datapackage.json"):
        (folder / derived).write_text("of another day\n")
    before = _contents(folder)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, [word.format(folder) for word in command.split()])
    assert done.exit_code == 0, done.output
    after = _contents(folder)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == set(asked_for)
