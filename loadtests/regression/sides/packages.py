"""An environment of its own for a side: a lock's pins, with some of the packages replaced."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loopbench.loadtests.regression.sides import cache, processes
from loopbench.loadtests.regression.sides.resolution import Pin, interpreter, pins_of, resolve

_BOUND_S = 600.0
_EXACT = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?==[\w.+!]+")
_FORMAT = "1"
"""Of what is kept: another number is another environment."""


def chosen(lock: str, replaced: Sequence[str], roots: Sequence[str] | None) -> tuple[Pin, ...]:
    """What an environment is to hold; see `resolve`. roots: None for all of the lock.

    For versions that are named exactly the answer is remembered, and costs no network then.
    Raises HarnessError.
    """
    if roots is None:
        roots = list(pins_of(lock))
    names = sorted(roots)

    def find() -> str:
        return "".join(f"{pin}\n" for pin in resolve(lock, replaced, names))

    if all(_EXACT.fullmatch(wish) for wish in replaced):
        key = cache.key_of(_FORMAT, interpreter(), lock, *replaced, "for", *names)
        return tuple(pins_of(cache.remembered(key, find)).values())
    return resolve(lock, replaced, names)


@contextmanager
def environment(pins: Sequence[Pin]) -> Iterator[Path]:
    """The interpreter of an environment that holds these pins; kept for the next time.

    The environment that runs this is not touched. Raises HarnessError with the installer's reason.
    """
    listed = "".join(f"{pin}\n" for pin in pins)

    def make(place: Path) -> None:
        # Without a pip of its own, which takes long: ours installs into it.
        _run("cannot make an environment", "-m", "venv", "--without-pip", str(place))
        python, file = str(place / "bin" / "python"), place / "requirements.txt"
        file.write_text(listed, encoding="utf-8")
        into = ("-m", "pip", "--no-input", "--disable-pip-version-check", "--python", python)
        what = ("--no-deps", "--no-compile", "--require-hashes", "--requirement", str(file))
        _run("the packages cannot be installed", *into, "install", "--quiet", *what)
        # On all CPUs, which the installer does not do. What does not compile is a template.
        processes.run(
            [sys.executable, "-m", "compileall", "-q", "-j", "0", str(place / "lib")], _BOUND_S
        )

    with cache.kept(cache.key_of(_FORMAT, interpreter(), listed), make) as place:
        yield place / "bin" / "python"


def _run(what: str, *arguments: str) -> None:
    processes.succeed(what, [sys.executable, *arguments], _BOUND_S)
