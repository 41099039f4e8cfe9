"""Which Python serves: one that can name its functions, and an environment of the suite for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.custom.waiting import telling
from loopbench.results.schema import INSTALLED, ROOT

OLDEST_WITH_NAMES = (3, 12)
"""The first Python with trampolines for perf (What's New in Python 3.12)."""

REMEDY = "Python 3.12 or later, built for perf trampolines, names its functions" + (
    "; install the suite, and what your application needs, for one, as by `pipx install --python "
    "python3.12 …`"
    if INSTALLED
    else ", and none is here; install one (python3.12 and python3.12-venv, or `pyenv install "
    "3.12`), or name it by --python"
)

_PROBE = (
    "import json, sys, sysconfig; get = sysconfig.get_config_var; "
    "free = 't' if get('Py_GIL_DISABLED') else ''; "
    "print(json.dumps([list(sys.version_info[:3]), free, bool(get('PY_HAVE_PERF_TRAMPOLINE'))]))"
)
_PROBE_BOUND_S = 20.0
_SET_UP_BOUND_S = 600.0
_WHY_NOT = "loopbench set-up: "
"""How the script begins its last line, where it fails."""

_IN_THE_PATH = ("python3.12", "python3.13", "python3.14", "python3")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that runs here. named: whether it can name its Python functions to callgrind."""

    path: Path
    version: str
    named: bool


def look_at(path: Path) -> Interpreter | None:
    """What a Python says of itself; None where it does not run, or says nothing of the kind."""
    try:
        done = subprocess.run(
            [str(path), "-I", "-c", _PROBE], capture_output=True, text=True, timeout=_PROBE_BOUND_S
        )
        numbers, free, trampolines = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    named = bool(trampolines) and tuple(numbers[:2]) >= OLDEST_WITH_NAMES
    return Interpreter(path, ".".join(map(str, numbers)) + free, named)


def choose(wanted: str | None) -> Interpreter:
    """The Python of `wanted`, or the first here that names its functions: this one, that of
    PYTHON, then those in the PATH and under pyenv; without any, this one. An installed package is
    installed for this one alone.

    Raises HarnessError where the one that is wanted does not run.
    """
    if wanted is not None:
        path = shutil.which(wanted)
        python = None if path is None else look_at(Path(path))
        if python is None:
            raise HarnessError(f"{wanted} does not run; name a Python that is here by --python")
        return python
    own = look_at(Path(sys.executable))
    if own is None:
        raise HarnessError(f"{sys.executable} does not run")
    if own.named or INSTALLED:
        return own
    candidates = _others()
    return next(
        (candidate for candidate in candidates if candidate is not None and candidate.named), own
    )


def _others() -> Iterator[Interpreter | None]:
    asked = os.environ.get("PYTHON")
    for name in ((asked,) if asked else ()) + _IN_THE_PATH:
        path = shutil.which(name)
        if path is not None:
            yield look_at(Path(path))
    for folder in _folders_of_versions():
        for executable in sorted(folder.glob("3.*/bin/python3"), key=_release):
            if _release(executable)[:2] >= OLDEST_WITH_NAMES:
                yield look_at(executable)


def _folders_of_versions() -> Iterator[Path]:
    """Where pyenv keeps its Pythons: as its variable says, as its command says, and where this
    Python is itself one of them."""
    if os.environ.get("PYENV_ROOT"):
        yield Path(os.environ["PYENV_ROOT"], "versions")
    command = shutil.which("pyenv")
    if command is not None:
        done = subprocess.run([command, "root"], capture_output=True, text=True)
        if done.returncode == 0:
            yield Path(done.stdout.strip(), "versions")
    beside = Path(sys.base_prefix).parent
    if beside.name == "versions":
        yield beside


def _release(path: Path) -> tuple[int, ...]:
    """By the name of pyenv's folder, such as `3.12.1` or `3.13.0t`."""
    digits = (part.rstrip("abcdefghijklmnopqrstuvwxyz-") for part in path.parts[-3].split("."))
    return tuple(int(part) if part.isdecimal() else 0 for part in digits)


def environment(chosen: Interpreter, stacks: bool, say: Callable[[str], None]) -> Path:
    """The Python of an environment that holds what the servers need, made where it is missing:
    `.venv-VERSION` beside `.venv`, as `make bench-pythons` makes it.

    stacks: whether those beside the core ones are to run. Raises HarnessError.
    """
    if chosen.path == Path(sys.executable):
        return chosen.path
    script = ROOT / ".ci" / "setup"
    if not script.is_file():
        raise HarnessError(
            f"an environment for Python {chosen.version} is made in a clone of the suite only; "
            "run the command with that Python, where the suite is installed for it"
        )
    folder = f".venv-{chosen.version}"
    variables = {**os.environ, "VENV": folder, "PYTHON": str(chosen.path)}
    with telling(f"setting up {folder}"):
        _set_up(["sh", str(script), "stacks" if stacks else "run"], variables, folder, say)
    return ROOT / folder / "bin" / "python"


def _set_up(
    command: list[str], variables: Mapping[str, str], folder: str, say: Callable[[str], None]
) -> None:
    """Say each line of it as it comes. Raises HarnessError with what it says of its failure."""
    last = ""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as made:
        end = threading.Timer(_SET_UP_BOUND_S, made.kill)
        end.start()
        try:
            for line in made.stdout or ():
                last = line.strip()
                if not last.startswith(_WHY_NOT):
                    say(last)
        finally:
            end.cancel()
    if made.returncode == -signal.SIGKILL:
        raise HarnessError(f"{folder} was not made within {_SET_UP_BOUND_S:g} s")
    if made.returncode:
        raise HarnessError(last or f"{folder} was not made")
