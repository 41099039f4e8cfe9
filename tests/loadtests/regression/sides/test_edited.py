"""What somebody edited in a side's environment is counted by function, too."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.layers import functions
from loopbench.loadtests.regression.sides.sides import Role, Side, look
from tests.conftest import ROOT
from tests.loadtests.regression.trees import STACKS

FILES = ("shop.py", "shop/till.py", "shop/_fast.so")


@pytest.fixture(scope="module")
def looked() -> Side:
    return look(Role.CANDIDATE, "x", ROOT, Path(sys.executable), STACKS)


@pytest.fixture
def side(looked: Side, tmp_path: Path) -> Side:
    """One whose environment has a package of three files, with the installer's digests of them."""
    home = tmp_path / "own"
    command = [sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(home)]
    subprocess.run(command, check=True)
    site = _site(home)
    lines = []
    for name in FILES:
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text("as installed\n")
        digest = hashlib.sha256((site / name).read_bytes()).digest()
        told = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        lines.append(f"{name},sha256={told},13\n")
    about = site / "shop-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1\n")
    (about / "RECORD").write_text("".join([*lines, "shop-1.dist-info/RECORD,,\n"]))
    return replace(looked, python=home / "bin" / "python", packages={"shop": "1"})


@pytest.fixture
def copy(side: Side, tmp_path: Path) -> Side:
    """The same with an environment that was installed anew."""
    site = tmp_path / "copy" / "environment" / "lib" / "python3.12" / "site-packages"
    for name in FILES:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("installed anew\n")
    return replace(side, root=tmp_path / "copy", python=Path(sys.executable))


def _site(environment: Path) -> Path:
    (found,) = (environment / "lib").glob("python*/site-packages")
    return found


def _texts(copy: Side) -> list[str]:
    return [(_site(copy.root / "environment") / name).read_text() for name in FILES]


def test_an_edited_module_is_taken_along(side: Side, copy: Side) -> None:
    """And no other one."""
    (_site(side.python.parent.parent) / "shop/till.py").write_text("TILL = 1\n")
    functions._take_edits(side, copy)
    assert _texts(copy) == ["installed anew\n", "TILL = 1\n", "installed anew\n"]


def test_nothing_is_taken_of_what_nobody_edited(side: Side, copy: Side) -> None:
    """The copy's own files stay."""
    functions._take_edits(side, copy)
    assert _texts(copy) == ["installed anew\n"] * 3


def test_an_edited_extension_cannot_be_taken_along(side: Side, copy: Side) -> None:
    """It is for the side's own interpreter: it is named, and nothing is counted without it."""
    (_site(side.python.parent.parent) / "shop/_fast.so").write_text("edited\n")
    with pytest.raises(HarnessError, match=r"shop/_fast[.]so was edited, and is compiled for"):
        functions._take_edits(side, copy)
