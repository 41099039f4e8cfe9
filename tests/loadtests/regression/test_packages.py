"""An environment of its own holds the lock's packages and the replaced ones, and goes away."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.sides import packages


def _wheel(folder: Path, version: str) -> Path:
    """A package of one module that says its version."""
    path = folder / f"tiny-{version}-py3-none-any.whl"
    about = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", f"version = {version!r}\n")
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n"
        )
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock of one package, which is to be had from a folder alone."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    first, _ = (_wheel(shelf, version) for version in ("1.0", "2.0"))
    path = tmp_path / "requirements.lock"
    digest = hashlib.sha256(first.read_bytes()).hexdigest()
    path.write_text(f"tiny==1.0 \\\n    --hash=sha256:{digest}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return path


def _version(python: Path) -> str:
    program = "import tiny; print(tiny.version)"
    done = subprocess.run([python, "-c", program], capture_output=True, check=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize(("replaced", "version"), [([], "1.0"), (["tiny==2.0"], "2.0")])
def test_the_lock_is_installed_and_what_is_named_replaced(
    lock: Path, replaced: list[str], version: str
) -> None:
    """The interpreter finds the one version or the other; afterwards it is gone."""
    with packages.environment(lock, replaced) as python:
        assert _version(python) == version
    assert not python.exists()


def test_a_version_that_does_not_exist(lock: Path) -> None:
    """The installer's own last line."""
    with pytest.raises(HarnessError) as caught, packages.environment(lock, ["tiny==3.0"]):
        raise AssertionError("an environment that cannot be had")
    assert str(caught.value) == (
        "tiny==3.0 cannot be installed: ERROR: No matching distribution found for tiny==3.0"
    )


def test_a_lock_that_does_not_fit_what_there_is(lock: Path) -> None:
    """Another file under the name of a pinned one is not installed."""
    lock.write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(HarnessError, match=r"^the packages of requirements\.lock cannot be inst"):
        with packages.environment(lock, []):
            raise AssertionError("an environment that cannot be had")
