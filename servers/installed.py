"""Whether packages and modules are there, and how to get them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache

from loopbench.results.schema import INSTALLED
from loopbench.servers.stacks import STACKS, Stack


def available(stack: Stack) -> str | None:
    """Why the stack cannot run in this environment, with the remedy; None where it can."""
    missing = lacking(stack.packages)
    theirs = [package for package in missing if package not in _known()]
    if theirs and stack.own is not None:
        command = f"`{sys.executable} -m pip install {' '.join(theirs)}`"
        lacks = f"this environment lacks {', '.join(theirs)}, which the application needs"
        return f"{lacks}; {command} installs it"
    return f"install {', '.join(missing)} ({remedy(stack)})" if missing else None


@cache
def _known() -> frozenset[str]:
    """What the suite's own stacks need, and its set-up installs."""
    return frozenset(package for stack in STACKS.values() for package in stack.packages)


def lacking(packages: Iterable[str]) -> list[str]:
    """Those that are not installed."""
    return [package for package in packages if not _installed(package)]


@cache  # what is installed does not change while a command runs, and metadata are slow to read
def _installed(package: str) -> bool:
    # It takes long to import. Its `version` would also parse all that is known of the package.
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def remedy(stack: Stack) -> str:
    """The command that brings the packages of a stack."""
    if INSTALLED:
        return "`pip install 'loopbench[stacks]'` does, or `pipx inject`"
    return "`make setup` does" if stack.optional is None else "`make setup STACKS=all` does"


def missing_module(error: BaseException) -> str | None:
    """How the module is had that an import did not find; None where the error is another.

    A package that is there may lack it: then the import is wrong, or the package is of another
    version.
    """
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    top, dot, _ = error.name.partition(".")
    if dot and _is_there(top):
        return f"{top} is there and has no {error.name}: correct the import, or {top} itself"
    return f"install {top!r} into this environment ({sys.executable} -m pip install …)"


def _is_there(top: str) -> bool:
    from importlib.util import find_spec

    return top in sys.modules or find_spec(top) is not None
