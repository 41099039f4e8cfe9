"""Small repositories and trees for the tests: what the servers need, and a lock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from loopbench.loadtests.regression.layers import limits
from loopbench.loadtests.regression.mutants import Edit, apply
from loopbench.loadtests.regression.parts import Part
from loopbench.loadtests.regression.sides.sides import LOCK, Role, Say, Side, opened, wanted
from loopbench.results.schema import Row
from loopbench.servers.contract.cases import CASES
from tests.conftest import ROOT
from tests.trees import SERVERS, copy_suite

STACKS = ("aiohttp",)


def with_few_cases(side: Side) -> Side:
    """The same with a Case of each kind of work: what all of them are is the subject of
    test_facts.py."""
    few = {name: CASES[name] for name in ("plain", "sync", "form", "sleep-blocking-0")}
    assert few.items() <= side.cases.items()
    return replace(side, cases=few, routes={name: side.routes[name] for name in few})


def rows_of(parts: Iterable[Part]) -> list[Row]:
    """Those of all parts, in their order."""
    return [row for part in parts for row in part.rows]


def ask_few_limits(patch: pytest.MonkeyPatch) -> None:
    """Have the layer of facts look for one limit of each kind: what all of them are is the subject
    of test_facts.py and test_started.py, and to look for them takes most of a check's CPU time."""
    patch.setattr(limits, "SIZES", dict(list(limits.SIZES.items())[:1]))
    patch.setattr(limits, "BODIES", dict(list(limits.BODIES.items())[:1]))


@contextmanager
def side_of(
    wish: str,
    stacks: Sequence[str],
    say: Say,
    *,
    root: Path = ROOT,
) -> Iterator[Side]:
    """What a person asked for, looked up and opened. Raises HarnessError."""
    found = wanted(wish, say, role=Role.BASE, root=root, lock=LOCK)
    with opened(found, stacks, root=root) as side:
        yield side


def python(program: str) -> subprocess.Popen[str]:
    """A program under way in a process of its own, to be interrupted."""
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody, with no configuration of the person who tests."""
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{f"GIT_{who}_NAME": "test" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "test@example.org" for who in ("AUTHOR", "COMMITTER")},
    }
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.strip()


def tree(folder: Path) -> Path:
    """What the servers need of this tree, and its lock."""
    copy_suite(folder, SERVERS)
    shutil.copy(ROOT / LOCK, folder / LOCK)
    (folder / ".gitignore").write_text("__pycache__/\n")
    return folder


def repository(folder: Path) -> Path:
    """The same as a repository of one commit, with the tag `first`."""
    tree(folder)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    git(folder, "tag", "first")
    return folder


CRASHING = Edit(
    "servers/apps/aiohttp_app.py",
    "async def async_(request: web.Request) -> web.Response:\n",
    "async def async_(request: web.Request) -> web.Response:\n    __import__('os')._exit(9)\n",
)
"""A server that becomes ready, and ends at the first request for `/async`."""

UNSTARTABLE = Edit(
    "servers/adapters/aiohttp_server.py",
    "from loopbench.servers.settings import Settings\n",
    'raise RuntimeError("this tree is broken")\n',
)


def edited(folder: Path, edit: Edit) -> Path:
    """A tree with one edit."""
    apply(edit, tree(folder))
    return folder


@contextmanager
def changed(*edits: Edit) -> Iterator[Path]:
    """A tree with these edits, as `mutants.copy` makes it, and with the byte code of this one: a
    server of it starts as fast as one of this tree."""
    with tempfile.TemporaryDirectory() as folder:
        root = tree(Path(folder))
        for edit in edits:
            apply(edit, root)
        yield root
