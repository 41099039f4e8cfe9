"""The commands: nothing that goes wrong may look like a verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression import command
from loopbench.loadtests.regression.check import Wish
from loopbench.results.schema import FACTS
from loopbench.results.schema.regression import SIDES_FILE, Layer
from loopbench.results.schema.verdict import BROKEN
from tests.loadtests.regression.trees import STACKS


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["--layer", "speed"],
        ["--rounds", "0"],
        ["--stack", "nothing"],
        ["more"],
    ],
)
def test_wrong_usage_is_no_verdict(arguments: list[str]) -> None:
    """2 would say that the check cannot tell."""
    done = CliRunner().invoke(command.regression, arguments)
    assert done.exit_code == BROKEN
    assert done.output.startswith("error: ")
    assert len(done.output.splitlines()) == 1


def test_a_ref_that_does_not_exist_is_broken(tmp_path: Path) -> None:
    """One line, and no folder for a check that never began."""
    folder = tmp_path / "folder"
    done = CliRunner().invoke(
        command.regression, ["--base", "no-such-ref", "--layer", "facts", "--out", str(folder)]
    )
    assert done.exit_code == BROKEN
    assert "no-such-ref" in done.output
    assert len(done.output.splitlines()) == 1
    assert not folder.exists()


def test_without_a_baseline_there_is_nothing_to_compare_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remedy is named."""
    monkeypatch.setattr(command, "BASELINE_FOLDER", tmp_path / "nowhere")
    done = CliRunner().invoke(command.regression, ["--layer", "facts"])
    assert done.exit_code == BROKEN
    assert "`make baseline` writes one" in done.output


def test_an_error_of_the_check_itself_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback's exit status would be 1, a regression."""
    monkeypatch.setattr(command, "CORE", None)
    done = CliRunner().invoke(command.regression, ["--layer", "facts"])
    assert done.exit_code == BROKEN
    assert "Traceback" in done.output
    assert done.output.splitlines()[-1] == "error: this is an error of the check itself"


def _wish(*layers: Layer) -> Wish:
    return Wish(layers=layers, stacks=STACKS, cells=(), seed=1)


def test_a_baseline_is_replaced_and_what_else_is_there_stays(tmp_path: Path) -> None:
    """Its tables are those that were measured now, its other files are not touched."""
    kept = tmp_path / "baseline"
    kept.mkdir()
    (kept / "occasions.csv").write_text("kept\n")
    (kept / FACTS.filename).write_text("old\n")
    command.renew(_wish(Layer.FACTS), tmp_path / "folder", kept)
    assert (kept / "occasions.csv").read_text() == "kept\n"
    for name in (FACTS.filename, SIDES_FILE):
        assert (kept / name).read_bytes() == (tmp_path / "folder" / name).read_bytes()


def test_a_baseline_that_could_not_be_measured_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without valgrind there is no baseline of instructions, and the old one stays."""
    kept = tmp_path / "baseline"
    kept.mkdir()
    (kept / SIDES_FILE).write_text("old\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HarnessError, match="the baseline stays as it is: instructions: "):
        command.renew(_wish(Layer.INSTRUCTIONS), tmp_path / "folder", kept)
    assert (kept / SIDES_FILE).read_text() == "old\n"
