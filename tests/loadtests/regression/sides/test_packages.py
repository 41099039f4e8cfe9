"""An environment of its own holds the lock's packages and the replaced ones, and is kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.sides import cache, packages, resolution
from loopbench.loadtests.regression.sides.resolution import Pin, pins_of
from loopbench.loadtests.regression.sides.sides import LOCK, Wanted, wanted
from tests.conftest import ROOT


def _wheel(folder: Path, name: str, version: str, needs: str | None = None) -> Path:
    """A package of one module that says its version."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"version = {version!r}\n")
        archive.writestr(
            f"{about}/METADATA",
            metadata + (f"Requires-Dist: {needs}\n" if needs else ""),
        )
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", f"{name}.py,,\n{about}/METADATA,,\n")
    return path


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which alone packages are to be had: `tiny` in three versions, the last of which
    needs another `base` than the lock has, `above`, whose locked version needs that `base`, and
    `other`, which nobody needs."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    _wheel(folder, "tiny", "1.0", "base")
    _wheel(folder, "tiny", "2.0", "base")
    _wheel(folder, "tiny", "3.0", "base<2")
    _wheel(folder, "above", "1.0", "base")
    _wheel(folder, "above", "2.0", "base>=2")
    for name, version in (("base", "1.0"), ("base", "2.0"), ("other", "1.0")):
        _wheel(folder, name, version)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


_LOCKED = (("tiny", "1.0"), ("above", "2.0"), ("base", "2.0"), ("other", "1.0"))


def _lock(shelf: Path) -> str:
    lines = []
    for name, version in _LOCKED:
        file = shelf / f"{name}-{version}-py3-none-any.whl"
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        lines.append(f"{name}=={version} \\\n    --hash=sha256:{digest}\n    # via nobody\n")
    return "".join(lines)


@pytest.fixture
def lock(shelf: Path) -> str:
    """Tiny 1.0 on base 2.0, and the other package."""
    return _lock(shelf)


def _versions(pins: tuple[Pin, ...]) -> list[str]:
    return [f"{pin.name}=={pin.version}" for pin in pins]


def _modules(python: Path) -> str:
    """The modules of these packages that there are, and tiny's version."""
    program = (
        "import importlib.util as util, tiny\n"
        "print(tiny.version, *(n for n in ('base', 'other') if util.find_spec(n)))"
    )
    done = subprocess.run([python, "-c", program], capture_output=True, check=True, text=True)
    return done.stdout.strip()


def test_a_lock_is_read_with_its_hashes(lock: str) -> None:
    """Continued lines are one pin; comments are none."""
    pins = pins_of(lock)
    assert sorted(pins) == ["above", "base", "other", "tiny"]
    assert all(len(pin.hashes) == 1 for pin in pins.values())


def test_what_is_needed_is_installed_and_nothing_else(lock: str) -> None:
    """By the lock's versions; the environment is there for the next time."""
    pins = packages.chosen(lock, [], ["tiny", "absent"])
    assert _versions(pins) == ["base==2.0", "tiny==1.0"]
    with packages.environment(pins) as python:
        assert _modules(python) == "1.0 base"
        first = python.lstat().st_ino
    with packages.environment(pins) as python:
        assert python.lstat().st_ino == first
    assert [path.suffix for path in cache.folder().iterdir() if path.is_dir()] == [""]


def test_all_of_a_lock(lock: str) -> None:
    """As the questions about behaviour need it."""
    pins = packages.chosen(lock, [], None)
    assert _versions(pins) == [f"{name}=={version}" for name, version in sorted(_LOCKED)]


def test_what_is_named_replaces_the_lock(lock: str) -> None:
    """And nothing else moves where nothing has to."""
    assert _versions(packages.chosen(lock, ["tiny==2.0"], ["tiny"])) == ["base==2.0", "tiny==2.0"]


def test_a_version_that_needs_another_one_than_the_lock_has(lock: str) -> None:
    """The newest that it allows is taken, as an installer would over the locked ones."""
    assert _versions(packages.chosen(lock, ["tiny==3.0"], ["tiny"])) == ["base==1.0", "tiny==3.0"]


def test_a_package_of_the_lock_that_cannot_stay_as_it_is(lock: str) -> None:
    """What needs the lock's version of the replaced one gives way, too."""
    pins = packages.chosen(lock, ["base==1.0"], ["above", "tiny"])
    assert _versions(pins) == ["above==1.0", "base==1.0", "tiny==1.0"]


def test_both_sides_differ_by_what_was_named_alone(lock: str, tmp_path: Path) -> None:
    """What had to give way on the base's side is the same on the candidate's, where the lock's
    version would do; without a base beside it the candidate keeps that."""
    root = tmp_path / "tree"
    root.mkdir()
    (root / LOCK).write_text(lock)
    said: list[str] = []

    def side(wish: str, beside: Wanted | None = None) -> Wanted:
        return wanted(wish, said.append, root=root, roots=["above", "tiny"], beside=beside)

    base = side("base==1.0")
    assert _versions(base.pins or ()) == ["above==1.0", "base==1.0", "tiny==1.0"]
    candidate = side("base==2.0", base)
    assert _versions(candidate.pins or ()) == ["above==1.0", "base==2.0", "tiny==1.0"]
    alone = side("base==2.0")
    assert _versions(alone.pins or ()) == ["above==2.0", "base==2.0", "tiny==1.0"]
    more = "; not as in the lock, so that all fit: above 1.0"
    assert said == [
        f"base: an environment of its own with base==1.0{more}",
        f"base: an environment of its own with base==2.0{more}",
        "base: an environment of its own with base==2.0",
    ]


def test_exact_versions_are_looked_up_once(
    lock: str, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards no index is asked: none could answer. A range is looked up each time."""
    pins = packages.chosen(lock, ["tiny==2.0"], ["tiny"])
    packages.chosen(lock, ["tiny>=2.0"], ["tiny"])
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf / "empty"))
    assert packages.chosen(lock, ["tiny==2.0"], ["tiny"]) == pins
    with pytest.raises(HarnessError):
        packages.chosen(lock, ["tiny>=2.0"], ["tiny"])


def test_a_version_that_does_not_exist(lock: str) -> None:
    """One line, before anything is installed; the next time it is looked for again."""
    for _ in range(2):
        with pytest.raises(HarnessError) as caught:
            packages.chosen(lock, ["tiny==4.0"], ["tiny"])
        assert str(caught.value) == (
            "tiny==4.0 is not to be had: of the versions that the package index has, "
            "the newest is 3.0"
        )
    assert not cache.folder().exists()


def test_a_package_that_does_not_exist(lock: str) -> None:
    """As a misspelt name is one: nothing is said of versions."""
    with pytest.raises(HarnessError) as caught:
        packages.chosen(lock, ["tinny==2.0"], ["tiny"])
    assert str(caught.value) == (
        "tinny==2.0 is not to be had: no package of this name has a version for this Python"
    )


def test_versions_that_contradict_each_other(lock: str) -> None:
    """The installer's own line."""
    with pytest.raises(HarnessError, match=r"^tiny==3\.0 base==2\.0 cannot be installed: Cannot "):
        packages.chosen(lock, ["tiny==3.0", "base==2.0"], ["tiny"])


def test_a_lock_that_does_not_fit_what_there_is(lock: str) -> None:
    """Another file under the name of a pinned one is not taken."""
    changed = lock.replace(next(iter(pins_of(lock)["base"].hashes)), f"sha256:{'0' * 64}")
    with pytest.raises(HarnessError, match=r"^base 2\.0: its file is none of those that the lock"):
        packages.chosen(changed, [], ["tiny"])


def test_a_file_that_changes_after_it_was_looked_up(lock: str, shelf: Path) -> None:
    """It is not installed, and nothing of it stays."""
    pins = packages.chosen(lock, [], ["tiny"])
    (shelf / "base-2.0-py3-none-any.whl").unlink()
    (shelf / "base-2.0-py3-none-any.whl").write_bytes(
        _wheel(shelf, "base", "2.0", "tiny").read_bytes()
    )
    with pytest.raises(HarnessError, match=r"^the packages cannot be installed: "):
        with packages.environment(pins):
            raise AssertionError("an environment that cannot be had")
    assert [path.name for path in cache.folder().iterdir() if path.is_dir()] == []


def _children(pid: int) -> list[int]:
    """All processes that descend from one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == pid:
            found += [int(stat.parent.name), *_children(int(stat.parent.name))]
    return found


def _runs(pid: int) -> bool:
    """Whether a process is there; one that nobody has waited for yet has ended, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_an_interrupt_in_the_middle_of_an_installation(
    lock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the installer and a child of its own are at work: neither is left, and no
    folder."""
    pins = packages.chosen(lock, [], ["tiny"])
    # An installer that has begun, and waits for a child of its own.
    begun = tmp_path / "begun"
    stuck = tmp_path / "stuck" / "sitecustomize.py"
    stuck.parent.mkdir()
    stuck.write_text(
        "import pathlib, subprocess, sys\n"
        "if 'install' in sys.orig_argv:\n"
        f"    pathlib.Path({str(begun)!r}).touch()\n"
        "    subprocess.run(['sleep', '600'])\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{stuck.parent}{os.pathsep}{ROOT}")
    listed = [str(pin) for pin in pins]
    program = (
        "from loopbench.loadtests.regression.sides import packages\n"
        "from loopbench.loadtests.regression.sides.resolution import pins_of\n"
        f"with packages.environment(tuple(pins_of({chr(10).join(listed)!r}).values())):\n"
        "    pass\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        _until(lambda: begun.exists() and len(_children(process.pid)) >= 2)
        left = _children(process.pid)
        assert [path.suffix for path in cache.folder().iterdir() if path.is_dir()] == [".part"]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in said
    _until(lambda: not any(map(_runs, left)))
    assert [path for path in cache.folder().iterdir() if path.is_dir()] == []


def _kept(name: str) -> AbstractContextManager[Path]:
    return cache.kept(name, lambda place: place.mkdir())


def test_what_nobody_used_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but those used last, whatever is a month old, and what somebody who was killed left;
    never what is in use."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = cache.folder()
    for age, name in enumerate(("new", "used", "third", "fourth")):
        with _kept(name):
            pass
        os.utime(place / name, (time.time() - age * 60,) * 2)
    (place / "dead.part").mkdir()
    with (place / "fourth.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # somebody's server runs from it
        cache.sweep(place, kept_last=2)
    assert {path.name for path in place.iterdir() if path.is_dir()} == {"new", "used", "fourth"}
    os.utime(place / "used", (1.0, 1.0))
    cache.sweep(place)
    assert {path.name for path in place.iterdir() if path.is_dir()} == {"new", "fourth"}


def test_a_place_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is named."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(HarnessError, match=r"XDG_CACHE_HOME names another place"), _kept("one"):
        raise AssertionError("an environment that cannot be had")


def test_a_text_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be found is not remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = iter(["one", "two"])
    assert [cache.remembered("key", lambda: next(found)) for _ in range(2)] == ["one", "one"]

    def fails() -> str:
        raise HarnessError("not now")

    with pytest.raises(HarnessError):
        cache.remembered("other", fails)
    assert cache.remembered("other", lambda: next(found)) == "two"


def test_an_index_that_does_not_answer(
    lock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking it is bounded."""
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(resolution, "_BOUND_S", 0.2)
    with pytest.raises(HarnessError, match=r"the package index did not answer within 0\.2 s$"):
        packages.chosen(lock, [], ["tiny"])
