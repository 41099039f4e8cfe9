"""The commands: nothing that goes wrong may look like a verdict."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression import command, kept_layers
from loopbench.loadtests.regression.sides.sides import Say, Wanted, look
from loopbench.loadtests.regression.wish import Wish
from loopbench.results.schema import FACTS
from loopbench.results.schema.regression import SIDES_FILE, Layer
from loopbench.results.schema.verdict import BROKEN
from tests.loadtests.regression.trees import STACKS, ask_few_limits, with_few_cases


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


@pytest.mark.parametrize(
    ("stacks", "named", "runners"),
    [
        (["aiohttp"], "quart==0.20.0", "quart-hypercorn, quart-hypercorn-uvloop, "),
        ([], "granian==2.0", "quart-granian, asgi-granian"),
    ],
)
def test_versions_that_none_of_the_stacks_runs_are_refused(
    stacks: list[str], named: str, runners: str
) -> None:
    """Both sides would be alike, and the check would say that there is no regression."""
    arguments = [word for stack in stacks for word in ("--stack", stack)]
    for side in ("--base", "--candidate"):
        done = CliRunner().invoke(command.regression, [*arguments, side, named])
        assert done.exit_code == BROKEN
        assert done.output.startswith("error: none of the stacks that are checked (aiohttp")
        assert f"runs {named.partition('=')[0]}: name one that does ({runners}" in done.output


def test_versions_that_a_stack_runs_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also beside others, those that start its server, and what these require. Of what nothing
    requires, a line says that it may make no difference."""
    monkeypatch.setattr(command, "wanted", _wanted)
    for named in ("aiohttp==1 quart==9", "gunicorn==9", "yarl==9", "aiohttp[speedups]==9"):
        done = CliRunner().invoke(command.regression, ["--stack", "aiohttp", "--base", named])
        assert done.output.splitlines()[-1] == f"error: {named} is not to be had"
        assert ("requires it" in done.output) == ("quart" in named)
    done = CliRunner().invoke(command.regression, ["--stack", "aiohttp", "--base", "brotli==9"])
    assert done.output == (
        "brotli: nothing that these stacks run requires it; the sides differ only where a server "
        "looks for it by itself\nerror: brotli==9 is not to be had\n"
    )


def test_a_question_that_there_is_not_is_refused_at_once() -> None:
    """As the command that asks them does."""
    arguments = ["--base", "HEAD", "--question", "dispatch.sync-rout"]
    done = CliRunner().invoke(command.regression, arguments)
    assert done.exit_code == BROKEN
    assert done.output == (
        "error: unknown question 'dispatch.sync-rout'; did you mean dispatch.sync-route?\n"
    )


def test_a_folder_that_holds_a_check_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the sides are looked up and installed, which takes minutes."""
    (tmp_path / SIDES_FILE).write_text("{}")
    monkeypatch.setattr(command, "wanted", None)
    arguments = ["--base", "aiohttp==3.13.0", "--layer", "facts", "--out", str(tmp_path)]
    done = CliRunner().invoke(command.regression, arguments)
    assert done.exit_code == BROKEN
    assert done.output == (
        f"error: {tmp_path} holds a check already; name another place with --out\n"
    )


def test_without_a_baseline_there_is_nothing_to_compare_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remedy is named."""
    monkeypatch.setattr(command, "BASELINE_FOLDER", tmp_path / "nowhere")
    done = CliRunner().invoke(command.regression, ["--base", "baseline", "--layer", "facts"])
    assert done.exit_code == BROKEN
    assert "`make baseline` writes one" in done.output


def test_an_error_of_the_check_itself_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback's exit status would be 1, a regression."""
    monkeypatch.setattr(command, "CORE", None)
    done = CliRunner().invoke(command.regression, ["--layer", "facts"])
    assert done.exit_code == BROKEN
    assert "Traceback" in done.output
    assert done.output.splitlines()[-1] == "error: this is an error of the check itself"


def test_versions_that_do_not_exist_are_refused_before_anything_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the base could be had; nothing of them is there when the candidate is refused."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(command, "wanted", _wanted)
    done = CliRunner().invoke(
        command.regression,
        ["--base", "aiohttp==3.13.0", "--candidate", "aiohttp==9", "--out", str(tmp_path / "out")],
    )
    assert done.exit_code == BROKEN
    assert done.output == "error: aiohttp==9 is not to be had\n"
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "out").exists()


def _wanted(wish: str, say: Say, **options: Any) -> Wanted:
    """As an index answers that has all versions but the ninth."""
    if wish.endswith("==9"):
        raise HarnessError(f"{wish} is not to be had")
    return Wanted(options["role"], wish, None, ())


@pytest.fixture(scope="module")
def few_cases() -> Iterator[None]:
    """Sides have few Cases to be measured, and few limits to be looked for."""
    with pytest.MonkeyPatch.context() as patch:
        place = "loopbench.loadtests.regression.sides.sides.look"
        patch.setattr(place, lambda *side: with_few_cases(look(*side)))
        ask_few_limits(patch)
        yield


@dataclass(frozen=True)
class Renewed:
    """A baseline that was measured, and the folder that it was measured into."""

    kept: Path
    folder: Path


@pytest.fixture(scope="module")
def renewed(few_cases: None, tmp_path_factory: pytest.TempPathFactory) -> Renewed:
    """Measured in place of one with an old table, and beside another file."""
    place = tmp_path_factory.mktemp("renewed")
    kept, folder = place / "baseline", place / "folder"
    kept.mkdir()
    (kept / "occasions.csv").write_text("kept\n")
    (kept / FACTS.filename).write_text("old\n")
    command.renew(_wish(Layer.FACTS, Layer.TAILS), folder, kept)
    return Renewed(kept, folder)


def test_what_cannot_be_compared_is_said_and_not_counted(
    renewed: Renewed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A baseline of another interpreter: instructions are not counted, with the reason at once;
    facts are compared all the same."""
    kept, out = tmp_path / "baseline", tmp_path / "out"
    shutil.copytree(renewed.kept, kept)
    sides = json.loads((kept / SIDES_FILE).read_text())
    sides["sides"]["base"]["fingerprint"]["python"] = "another"
    (kept / SIDES_FILE).write_text(json.dumps(sides))
    monkeypatch.setattr(command, "BASELINE_FOLDER", kept)
    capsys.readouterr()
    arguments = ["--base", "baseline", "--layer", "facts", "--layer", "instructions"]
    with pytest.raises(SystemExit) as ended:
        command.regression.main([*arguments, "--stack", "aiohttp", "--out", str(out)])
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()
    why = (
        "the baseline was counted with another python, or that is not known; "
        "`--base REF` counts both sides here"
    )
    assert said[0] == f"instructions: not counted: {why}"
    # A busy machine may need more than one asking, which is said, too.
    assert said[1:] and all(line.startswith("facts: ") for line in said[1:])
    told = json.loads((out / SIDES_FILE).read_text())["layers"]["instructions"]
    assert told == {"run": False, "why_not": why, "bound": {}}


def _wish(*layers: Layer) -> Wish:
    return Wish(layers=layers, stacks=STACKS, cells=(), seed=1)


def test_a_baseline_is_replaced_and_what_else_is_there_stays(renewed: Renewed) -> None:
    """Its tables are those that were measured now, its other files are not touched. What takes two
    sides in the same minutes is no part of it, and no reason to refuse the rest."""
    assert (renewed.kept / "occasions.csv").read_text() == "kept\n"
    for name in (FACTS.filename, SIDES_FILE):
        assert (renewed.kept / name).read_bytes() == (renewed.folder / name).read_bytes()


def test_layers_of_a_baseline_stay_while_others_are_measured(
    renewed: Renewed, tmp_path: Path
) -> None:
    """With the commit that they were measured of; not beside a layer of another interpreter."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        shutil.copytree(renewed.kept, folder)
    (new / FACTS.filename).unlink()
    sides = json.loads((old / SIDES_FILE).read_text())
    sides["sides"]["base"] |= {"commit": "before"}
    sides["sides"]["base"]["fingerprint"]["method"] = "another"
    (old / SIDES_FILE).write_text(json.dumps(sides))
    with pytest.raises(HarnessError, match=r"with another method, .*; renew all layers"):
        kept_layers.keep(old, new, (Layer.MEMORY,))
    kept_layers.keep(old, new, (Layer.INSTRUCTIONS,))
    assert (new / FACTS.filename).read_bytes() == (old / FACTS.filename).read_bytes()
    told = json.loads((new / SIDES_FILE).read_text())
    assert told["layers"]["facts"]["bound"]["measured"]["commit"] == "before"
    assert told["sides"]["base"]["commit"] != "before"


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
