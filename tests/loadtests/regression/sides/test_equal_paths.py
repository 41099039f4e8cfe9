"""Sides are counted in places of equal length, in environments that hold the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe.callgrind import every_processor
from loopbench.loadtests.regression.sides import equal_paths, transplant
from loopbench.loadtests.regression.sides.needed import needed
from loopbench.loadtests.regression.sides.sides import Role, look
from loopbench.servers.stacks import STACKS
from tests.conftest import ROOT
from tests.loadtests.regression.trees import STACKS as NAMES
from tests.loadtests.regression.trees import tree


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["a", "a-longer-name"])
def test_a_place_is_as_long_wherever_it_lies(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever the folder for temporary files is called."""
    with tempfile.TemporaryDirectory(prefix=name, dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with equal_paths.place() as place:
            assert len(str(place)) == equal_paths.PATH_LENGTH
            assert place.is_relative_to(folder)
        assert list(Path(folder).iterdir()) == []


def test_a_place_that_would_be_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is named, and nothing stays there."""
    folder = tmp_path / ("x" * 60)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(HarnessError, match="TMPDIR to a shorter one"), equal_paths.place():
        raise AssertionError("a place that is too long")
    assert list(folder.iterdir()) == []


def test_sides_are_moved_with_what_their_servers_need(tmp_path: Path) -> None:
    """Two trees, one of them somewhere else: equal paths, equal files, and an interpreter that
    finds the packages there and no others."""
    here = look(Role.BASE, "x", ROOT, Path(sys.executable), NAMES)
    there = look(Role.CANDIDATE, "y", tree(tmp_path), Path(sys.executable), NAMES)
    with equal_paths.alike((here, there)) as (one, other):
        assert len(str(one.root)) == len(str(other.root)) == equal_paths.PATH_LENGTH
        assert one.python == one.root / "environment" / "bin" / "python"
        found, again = (_files(side.root / "environment" / "lib") for side in (one, other))
        assert found == again
        site = next((one.root / "environment" / "lib").iterdir()) / "site-packages"
        program = (
            "import importlib.util as util, sys, aiohttp, yarl, aiosqlite\n"
            "print(aiohttp.__file__, aiohttp.__cached__)\n"
            "print([n for n in ('locust', 'pytest', 'pip', 'quart', 'loopbench') "
            "if util.find_spec(n)])"
        )
        done = subprocess.run(
            [one.python, "-P", "-c", program], capture_output=True, text=True, check=True
        )
        places, others = done.stdout.splitlines()
        assert all(Path(place).is_relative_to(site) for place in places.split())
        assert all(Path(place).is_file() for place in places.split())
        assert others == "[]"
    assert not one.root.exists()


def test_an_environment_elsewhere_is_copied_alike(tmp_path: Path) -> None:
    """Where it lies, what else is in it and what the installer wrote down make no difference."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    home = tmp_path / "an-environment-with-a-longer-name"
    command = [sys.executable, "-m", "venv", "--without-pip", str(home)]
    subprocess.run(command, check=True)
    site = home / "lib" / version / "site-packages"
    for name in ("click", "psutil"):
        for source in Path(sys.prefix, "lib", version, "site-packages").glob(f"{name}*"):
            shutil.copytree(source, site / source.name)
    (site / "more.pth").write_text("import sys\n")
    for about in site.glob("*.dist-info"):
        (about / "direct_url.json").write_text("{}")
    text = Path(transplant.__file__).read_text()
    copies = []
    for number, python in enumerate((sys.executable, str(home / "bin" / "python"))):
        place = tmp_path / f"copy-{number}"
        subprocess.run([python, "-c", text, str(place), "Click", "psutil", "absent"], check=True)
        copies.append(place)
    one, other = map(_files, copies)
    assert one == other
    assert f"lib/{version}/site-packages/click/__init__.py" in one
    assert not [name for name in one if name.endswith((".pyc", ".pth", "direct_url.json"))]
    for name in one - {"bin/python"}:
        assert (copies[0] / name).read_bytes() == (copies[1] / name).read_bytes()


@pytest.fixture
def linked(tmp_path: Path) -> Callable[[Iterable[str]], Path]:
    """A folder of packages that holds those which a transplant would have copied, as links: to
    copy and compile them for each stack takes far longer than to import them."""

    def link(wanted: Iterable[str]) -> Path:
        site = tmp_path / "packages"
        site.mkdir()
        for distribution in transplant.closure(list(wanted)):
            tops = {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
            for top in tops - {path.name for path in site.iterdir()}:
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))
        return site

    return link


@pytest.mark.parametrize("stack", STACKS)
def test_what_is_needed_is_what_a_server_imports(
    stack: str, linked: Callable[[Iterable[str]], Path]
) -> None:
    """Each stack's modules can be imported where there are these packages alone."""
    row = STACKS[stack]
    site = linked(needed(row.packages))
    program = f"import {row.application}, {row.adapter}, loopbench.servers.lifecycle.child_main"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],  # without the packages of this environment
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_not_among_the_packages_is_not_there(
    linked: Callable[[Iterable[str]], Path],
) -> None:
    """Or the test above would say nothing."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import aiohttp, quart"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(linked(needed(STACKS["aiohttp"].packages)))},
        capture_output=True,
        text=True,
    )
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'quart'\n")


def test_every_processor_is_the_same_to_the_c_library() -> None:
    """What some processors have is switched off; where nothing is known of them, nothing is."""
    (variable,) = every_processor("x86_64")
    name, _, value = variable.partition("=glibc.cpu.hwcaps=")
    assert name == "GLIBC_TUNABLES"
    assert {"-AVX2", "-AVX512F", "-ERMS", "-SSE4_2"} <= set(value.split(","))
    assert all(feature.startswith("-") for feature in value.split(","))
    assert every_processor("aarch64") == ()
