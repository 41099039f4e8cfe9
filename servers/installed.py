"""Whether the packages of a stack are there, and how to get them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from loopbench.results.schema import INSTALLED
from loopbench.servers.stacks import Stack


def available(stack: Stack) -> str | None:
    """Why the stack cannot run in this environment, with the remedy; None where it can."""
    missing = lacking(stack.packages)
    return f"install {', '.join(missing)} ({remedy(stack)})" if missing else None


def lacking(packages: Iterable[str]) -> list[str]:
    """Those that are not installed."""
    return [package for package in packages if not _installed(package)]


@cache  # what is installed does not change while a command runs, and metadata are slow to read
def _installed(package: str) -> bool:
    from importlib.metadata import PackageNotFoundError, version  # takes long to import

    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def remedy(stack: Stack) -> str:
    """The command that brings the packages of a stack."""
    if INSTALLED:
        return "`pip install 'loopbench[stacks]'` does, or `pipx inject`"
    return "`make setup` does" if stack.optional is None else "`make setup STACKS=all` does"
