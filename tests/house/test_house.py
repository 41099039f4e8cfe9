"""The project's own rules: pins, layers, targets, set-up, and what no file may hold."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
import warnings
from itertools import pairwise
from pathlib import Path

import grimp
import pytest

from tests.conftest import ROOT

LOCKS = ("requirements.lock", "requirements-stacks.lock", "requirements-dev.lock")
LONG_SOURCE, TOO_LONG_SOURCE = 400, 750
"""Lines: above the first a file is named, above the second it has to be split."""

_PIN = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[\w.!+]+)(?P<marker> ; [^\\#]+?)?"
    r"(?P<hashes>( \\\n    --hash=sha256:[0-9a-f]{64})+)\n"
)


def _pins(lock: str) -> dict[str, tuple[str, str]]:
    """Name to version and hashes. Fails on anything in the lock that is not a pin with hashes."""
    text = (ROOT / lock).read_text()
    pins: dict[str, tuple[str, str]] = {}
    end = 0
    for match in _PIN.finditer(text):
        assert text[end : match.start()] == "", f"{lock}: {text[end : match.start()]!r}"
        assert match["name"] not in pins, f"{lock} pins {match['name']} twice"
        pins[match["name"]] = match["version"], match["hashes"]
        end = match.end()
    assert text[end:] == "", f"{lock}: {text[end:]!r}"
    return pins


def _requirements(file: str) -> set[str]:
    """Names in a requirements*.in, those of the files it includes too."""
    names: set[str] = set()
    for line in (ROOT / file).read_text().splitlines():
        wanted = line.partition("#")[0].strip()
        if wanted.startswith("-r "):
            names |= _requirements(wanted.removeprefix("-r ").strip())
        elif wanted:
            names.add(re.split(r"[^\w.-]", wanted)[0].lower().replace("_", "-"))
    return names


def _tracked() -> list[Path]:
    """Files that are, or could be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file()]


def _without_make() -> dict[str, str]:
    """The environment without what an outer `make` put there."""
    outer = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "PYTHON")
    return {name: value for name, value in os.environ.items() if name not in outer}


def _make(*arguments: str) -> str:
    return subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", *arguments],
        env=_without_make(),
        capture_output=True,
        check=True,
        text=True,
    ).stdout


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_pins_with_hashes_and_nothing_else(lock: str) -> None:
    """Each entry is one name at one version with SHA-256 hashes: no index, address or path."""
    assert _pins(lock)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_locked(lock: str) -> None:
    """Whatever requirements*.in asks for has a pin: the lock is not older than the wish."""
    missing = _requirements(lock.replace(".lock", ".in")) - _pins(lock).keys()
    assert not missing, f"{lock} lacks {sorted(missing)}; `make lock` resolves them"


def test_what_is_tested_is_what_is_measured() -> None:
    """Each lock holds the one before it: the same files of the same versions."""
    for smaller, larger in pairwise(_pins(lock) for lock in LOCKS):
        assert {name: larger.get(name) for name in smaller} == smaller


def test_the_installed_packages_fit_each_other() -> None:
    """Set-up resolves nothing, so the lock itself must be complete and free of conflicts."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_schema_is_the_leaf() -> None:
    """`results.schema` imports nothing of the project. (The layers: `make lint`.)"""
    graph = grimp.build_graph("loopbench", cache_dir=None)
    assert graph.find_modules_directly_imported_by("loopbench.results") == set()
    schema = {"loopbench.results.schema", *graph.find_descendants("loopbench.results.schema")}
    for module in schema:
        assert graph.find_modules_directly_imported_by(module) <= schema


def test_the_tests_run_in_a_process_that_nothing_patched() -> None:
    """Importing Locust exchanges the standard library's sockets; no plugin may have done so."""
    assert "locust" not in sys.modules
    assert socket.socket.__module__ == "socket"


def test_make_alone_lists_every_target() -> None:
    """Each target says what it does, and `make` without one shows them all."""
    shown = _make()
    listed, _, _ = shown.partition("Choices")
    targets = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"^  ([a-z-]+)  +\S", listed, re.MULTILINE) == targets
    assert shown == _make("help")


@pytest.mark.parametrize(
    ("choices", "brings"), [([], "run"), (["STACKS=aiohttp"], "run"), (["STACKS=all"], "stacks")]
)
def test_make_setup_brings_what_is_named(choices: list[str], brings: str) -> None:
    """`make setup STACKS=all` is what a stack that cannot run here asks for."""
    assert _make("--dry-run", "setup", *choices).split()[-3:] == ["sh", ".ci/setup", brings]


BENCH = [".venv/bin/python", "-m", "loadtests", "bench"]


@pytest.mark.parametrize(
    ("choices", "options"),
    [
        ([], []),
        (
            ["STACKS=aiohttp asyncio", "SCENARIOS=async-1"],
            ["--stack", "aiohttp", "--stack", "asyncio", "--scenario", "async-1"],
        ),
        (
            ["ROUNDS=2", "DURATION=0.5", "SEED=7"],
            ["--rounds", "2", "--duration", "0.5", "--seed", "7"],
        ),
        (["OUT=a folder", "RESUME=1"], ["--out", "$OUT", "--resume"]),
    ],
)
def test_make_passes_on_what_is_given(choices: list[str], options: list[str]) -> None:
    """`make bench` adds an option for each choice made, and none for those not made."""
    command = shlex.split(_make("--dry-run", "bench", *choices).splitlines()[-1])
    assert command == BENCH + options


def test_a_full_bench_has_ten_rounds_unless_told_otherwise() -> None:
    """The target for figures to publish repeats more, and still does as it is told."""
    for choices, rounds in (([], "10"), (["ROUNDS=4"], "4")):
        command = shlex.split(_make("--dry-run", "bench-full", *choices).splitlines()[-1])
        assert command == [*BENCH, "--scenario", "all", "--rounds", rounds]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What set-up reads, in a folder of its own whose name has a space."""
    folder = tmp_path / "a clone"
    for name in (".ci/setup", "Makefile", "pyproject.toml", *LOCKS):
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
    return folder


def _set_up(clone: Path, *choices: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-C", str(clone), "--no-print-directory", "setup", *choices],
        env=_without_make() | environment,
        capture_output=True,
        check=False,
        text=True,
    )


def test_set_up_asks_for_an_interpreter_that_is_there(clone: Path) -> None:
    """A Python that does not exist: one line with the remedy, and nothing made."""
    done = _set_up(clone, "PYTHON=python-nowhere")
    said = done.stderr.splitlines()
    assert done.returncode != 0
    assert said[0] == (
        "loopbench set-up: python-nowhere is not there; install Python 3.11 or later, "
        "or name one: make setup PYTHON=python3.12"
    )
    assert len(said) == 2  # the other is make's own
    assert not (clone / ".venv").exists()


def test_set_up_refuses_an_unknown_stack(tmp_path: Path) -> None:
    """A misspelt stack ends in one line with the nearest name, before anything is installed."""
    place = tmp_path / "environment"
    done = _set_up(ROOT, "STACKS=aiohttp,aiohtp", VENV=str(place))
    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith(
        "loopbench set-up: unknown stack 'aiohtp'; did you mean 'aiohttp'? known stacks: aiohttp, "
    )
    assert done.stdout == ""
    assert not place.exists()


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="it reads such names in any locale")
def test_set_up_says_what_a_folder_of_other_letters_needs(clone: Path) -> None:
    """In a locale of ASCII, Python does not start beside packages of such a folder."""
    folder = clone.rename(clone.with_name("ein Klön"))
    done = _set_up(folder, f"PYTHON={sys.executable}", LC_ALL="C")
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == (
        "loopbench set-up: the name of this folder has letters that the locale (ANSI_X3.4-1968) "
        "cannot write; set LC_ALL=C.UTF-8, or give it another name"
    )
    assert done.stdout == ""
    assert not (folder / ".venv").exists()


def test_set_up_names_the_package_that_debian_leaves_out(clone: Path) -> None:
    """A Python without ensurepip: one line with the remedy, and nothing made."""
    hidden = clone / "hidden"
    hidden.mkdir()
    (hidden / "ensurepip.py").write_text("raise ImportError\n")
    done = _set_up(clone, f"PYTHON={sys.executable}", PYTHONPATH=str(hidden))
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == (
        f"loopbench set-up: {sys.executable} cannot make virtual environments; "
        "on Debian and Ubuntu: apt-get install python3-venv"
    )
    assert not (clone / ".venv").exists()


def test_a_set_up_that_fails_leaves_no_environment(clone: Path) -> None:
    """Packages that cannot be had: the half-made environment goes, and the cause is named."""
    done = _set_up(clone, f"PYTHON={sys.executable}", PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    assert done.returncode != 0
    assert "No matching distribution found for pip==" in done.stderr
    assert ".venv was removed; does pip reach its package index" in done.stderr
    assert not (clone / ".venv").exists()


MAKES_NO_ENVIRONMENT = """#!/bin/sh
case "$*" in
"-m venv "*) exit 1 ;;
*_base_executable*) echo "$0" ;;
esac
"""
"""An interpreter that says all that set-up asks it, and then fails at once."""


@pytest.mark.skipif(shutil.which("flock") is None, reason="no flock(1)")
def test_a_second_set_up_waits_for_the_first(clone: Path) -> None:
    """It says so, and goes on when the other has ended."""
    python = clone / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(MAKES_NO_ENVIRONMENT)
    python.chmod(0o755)
    with (clone / ".ci" / "setup").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        second = subprocess.Popen(
            ["sh", ".ci/setup", "run"],
            cwd=clone,
            env=os.environ | {"PYTHON": "", "PATH": f"{python.parent}:{os.environ['PATH']}"},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert second.stderr is not None
        said = second.stderr.readline()
        assert said == "Another set-up is at work in this folder; waiting for its end.\n"
        assert second.poll() is None
    with second:
        assert "it did not finish" in second.stderr.read()


def test_no_file_names_a_place_on_a_machine() -> None:
    """No home directory, work folder, interpreter manager or temporary folder of anyone."""
    folders = "home|opt|root|tmp|Users|work"
    place = re.compile(rf"(?<![\w.}}*/-])/(?:{folders})/[\w.]|\.pyenv\b")
    files = _tracked()
    assert ROOT / "Makefile" in files
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for file in files
        if file != Path(__file__).resolve()
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1)
        if place.search(line)
    ]
    assert not found, "\n".join(found)


def test_the_changelog_knows_the_version() -> None:
    """The version of pyproject.toml has a place in CHANGELOG.md."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in changelog
    assert version in changelog


@pytest.mark.filterwarnings("default::UserWarning")
def test_sources_stay_short() -> None:
    """A file that outgrows its reader has more than one subject."""
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text().splitlines())
        for file in _tracked()
        if file.suffix == ".py"
    }
    assert lengths
    long = {name: lines for name, lines in lengths.items() if lines > LONG_SOURCE}
    if long:
        warnings.warn(f"longer than {LONG_SOURCE} lines: {long}", stacklevel=1)
    assert {name: lines for name, lines in long.items() if lines > TOO_LONG_SOURCE} == {}
