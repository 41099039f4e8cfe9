"""An environment of its own: a lock's pins, with some of the packages replaced."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loopbench.loadtests.errors import HarnessError

_BOUND_S = 600.0


@contextmanager
def environment(lock: Path, replaced: Sequence[str]) -> Iterator[Path]:
    """The interpreter of a new virtual environment in a temporary folder; gone afterwards.

    lock: pins with hashes, all of which are installed. replaced: requirements that are then
    installed over them, with what they need. The environment that runs this is not touched.
    Raises HarnessError with the installer's own reason.
    """
    if not lock.is_file():
        raise HarnessError(f"{lock.name} is missing, so the environment is not known")
    with tempfile.TemporaryDirectory(prefix="loopbench-packages-") as temporary:
        place = Path(temporary) / "environment"
        # Without a pip of its own, which takes long: ours installs into it.
        _run("cannot make an environment", "-m", "venv", "--without-pip", str(place))
        python = place / "bin" / "python"
        install = ("-m", "pip", "--python", str(python), "install", "--quiet")
        pinned = ("--no-deps", "--require-hashes", "--requirement", str(lock))
        _run(f"the packages of {lock.name} cannot be installed", *install, *pinned)
        if replaced:
            wish = " ".join(replaced)
            _run(f"{wish} cannot be installed", *install, *replaced)
        yield python


def _run(what: str, *arguments: str) -> None:
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BOUND_S,
        )
    except subprocess.TimeoutExpired:
        raise HarnessError(f"{what}: it took longer than {_BOUND_S:g} s") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")]
        raise HarnessError(f"{what}: {(errors or lines or ['no reason given'])[-1]}")
