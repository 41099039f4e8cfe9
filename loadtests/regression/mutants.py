"""Sides that were changed on purpose, for the check to check itself with.

A candidate is a copy of what the servers need of this tree, with one edit. Every edit has to find
its place exactly once: where the code has moved on, that is said, and nothing is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.sides.equal_paths import copied
from loopbench.results.schema import ROOT

STACK = "aiohttp"
"""The stack that is changed."""

CASE = "plain"
"""The Case, and route, that is changed where one has to be chosen."""

_FILE = "servers/apps/aiohttp_app.py"
_BLOCK_MS = 50
_WHERE = "    return respond(basic.where_am_i())\n"


@dataclass(frozen=True, slots=True)
class Edit:
    """One text for another, in one file of the tree."""

    file: str
    old: str
    new: str


@contextmanager
def copy(edit: Edit | None = None, *, root: Path = ROOT) -> Iterator[Path]:
    """The servers' part of a tree, copied and perhaps edited; gone afterwards."""
    with copied(root) as tree:
        if edit is not None:
            apply(edit, tree)
        yield tree


def apply(edit: Edit, tree: Path) -> None:
    """Make the edit. Raises HarnessError where its place is not there exactly once."""
    path = tree / edit.file
    text = path.read_text(encoding="utf-8")
    if text.count(edit.old) != 1:
        raise HarnessError(
            f"{edit.file} holds {edit.old.strip()!r} {text.count(edit.old)} times instead of once; "
            "the candidates of the self-test need another place"
        )
    path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


def more_work(steps: int) -> Edit:
    """So many turns of an empty loop before the constant answer."""
    answer = "    return respond(basic.plain())\n"
    return Edit(_FILE, answer, f"    for _ in range({steps}):\n        pass\n{answer}")


FACTS: Mapping[str, tuple[Edit, str, str]] = {
    "a sync route moved onto the loop": (
        Edit(
            _FILE,
            "def sync(request: web.Request) -> web.Response:\n"
            f"{_WHERE}\n\n@handles\n"
            "async def blocking(request: web.Request) -> web.Response:\n    return sync(request)\n",
            "async def sync(request: web.Request) -> web.Response:\n"
            f"{_WHERE}\n\n@handles\n"
            "async def blocking(request: web.Request) -> web.Response:\n"
            "    return await sync(request)\n",
        ),
        "sync",
        "thread",
    ),
    "a changed header": (
        Edit(
            _FILE,
            '    headers = CIMultiDict({"Content-Type": content_type})\n',
            '    headers = CIMultiDict({"Content-Type": content_type, "X-Changed": "yes"})\n',
        ),
        CASE,
        "headers",
    ),
    "a handler that blocks": (
        Edit(
            _FILE,
            "    return respond(basic.plain())\n",
            f"    __import__('time').sleep({_BLOCK_MS / 1000})\n"
            "    return respond(basic.plain())\n",
        ),
        CASE,
        "blocked",
    ),
}
"""What layer 1 has to see: the edit, and the subject and fact that it has to name."""
