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
def copy(*edits: Edit, root: Path = ROOT) -> Iterator[Path]:
    """The servers' part of a tree, copied and perhaps edited; gone afterwards."""
    with copied(root) as tree:
        for edit in edits:
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


_ANSWERS: Mapping[str, str] = {
    "plain": "    return respond(basic.plain())\n",
    "json": "    return respond(basic.echo_json(await request.read()))\n",
    "middleware-10": "    request[_PASSED] = request.get(_PASSED, 0) + 1\n",
}
"""The line that answers, by the Case that it answers; a layer's, by a Case that passes it."""

_PLACES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    STACK: (_FILE, _ANSWERS),
    "quart-hypercorn": (
        "servers/apps/quart_app.py",
        {
            "plain": _ANSWERS["plain"],
            "json": "    return respond(basic.echo_json(body))\n",
            "middleware-10": '    g.passed = g.get("passed", 0) + 1\n',
        },
    ),
}
"""By stack: the file of its application, and such lines of it."""


def before(case: str, *lines: str, stack: str = STACK) -> Edit:
    """These lines before the one that answers."""
    file, answers = _PLACES[stack]
    answer = answers[case]
    return Edit(file, answer, "".join(f"    {line}\n" for line in lines) + answer)


def leaking(what: str) -> Edit:
    """Each request for CASE leaves this behind."""
    return before(CASE, f"globals().setdefault('_LEFT', []).append({what})")


def more_work(steps: int, case: str = CASE, stack: str = STACK) -> Edit:
    """A name is looked at so many times before the answer, each of which costs the same, and so
    little that the sum can be as large as is wanted. A loop would cost something for itself, and
    more a turn where its numbers are no longer kept ready."""
    return before(case, "work = None", "; ".join(["work"] * steps), stack=stack)


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
"""What the layer of facts has to see: the edit, and the subject and fact that it has to name."""

FACTS_OF_HEADERS: Mapping[str, tuple[Edit, str, str]] = {
    "a header less": (
        Edit(_FILE, '        headers["Allow"] = allow\n', "        pass\n"),
        "wrong-method",
        "headers",
    ),
    "a Date that stands still": (
        Edit(
            _FILE,
            '    headers = CIMultiDict({"Content-Type": content_type})\n',
            '    headers = CIMultiDict({"Content-Type": content_type})\n'
            '    headers["Date"] = "Thu, 01 Jan 2026 00:00:00 GMT"\n',
        ),
        "Date header",
        "moves",
    ),
    "a 204": (
        Edit(_FILE, _ANSWERS["json"], "    return web.Response(status=204)\n"),
        "json",
        "status",
    ),
}
"""The same; each for a tree of its own, since they would hide each other."""

LEAK_OF_BYTES = leaking("bytes(10240)")
LEAK_OF_AN_OBJECT = leaking("object()")


def seldom_slow(seconds: float) -> Edit:
    """Every hundredth request blocks the loop for so long."""
    return before(
        CASE,
        "turn = globals().setdefault('_TURNS', __import__('itertools').count(1))",
        "if next(turn) % 100 == 0:",
        f"    __import__('time').sleep({seconds})",
    )


SELDOM_SLOW = seldom_slow(0.005)

ANOTHER_HOP = before(CASE, "await asyncio.to_thread(int)")
"""A hop through a worker thread."""

CHANGED_CLASS = before(CASE, "web.Response.seen = None")
"""A class that is changed, so that CPython forgets where it found its attributes, and searches."""
