"""The two sides of a check: this tree, a git ref, or other versions of the packages."""

from __future__ import annotations

import enum
import hashlib
import json
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe.callgrind import METHOD, every_processor
from loopbench.loadtests.regression.sides import introspection, packages, processes, worktree
from loopbench.loadtests.regression.sides.resolution import Pin, normal, pins_of
from loopbench.results.schema import ROOT
from loopbench.servers.contract.http import Case, Expected, Request
from loopbench.servers.lifecycle.tree import layout_of
from loopbench.servers.supervision.messages import Json, from_json

THIS_TREE = "this tree"
LOCK = "requirements.lock"
LOCK_WITH_ALL_STACKS = "requirements-stacks.lock"

_ASK_BOUND_S = 60.0
_PACKAGE = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?(===?|~=|!=|>=?|<=?)[\w.*+!<>=,~-]+")


class Role(enum.StrEnum):
    """Which side of the comparison."""

    BASE = "base"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class Side:
    """A tree with an interpreter to run it, and what these say of themselves.

    name: what a person called it. root: the folder that holds its `servers`.
    commit, changed: None where there is no repository. cases: those of its own contract;
    routes: the route that each is for, where there is one. in_thread: those whose work is to run
    in a worker thread.
    """

    role: Role
    name: str
    root: Path
    python: Path
    commit: str | None
    changed: bool | None
    measured_at: str
    fingerprint: Mapping[str, str | None]
    packages: Mapping[str, str]
    stacks: frozenset[str]
    cases: Mapping[str, Case]
    routes: Mapping[str, str]
    in_thread: frozenset[str]

    def to_json(self) -> Json:
        """As sides.json has it: nothing in it names a place on this machine."""
        return {
            "name": self.name,
            "commit": self.commit,
            "changed": self.changed,
            "measured_at": self.measured_at,
            "fingerprint": dict(self.fingerprint),
            "packages": dict(self.packages),
        }


Say = Callable[[str], None]


def are_packages(wish: str) -> bool:
    """Whether a wish names versions of packages, as in 'aiohttp==3.13.0 yarl==1.20.0'."""
    words = wish.split()
    return bool(words) and all(_PACKAGE.fullmatch(word) for word in words)


@contextmanager
def this_tree(role: Role, stacks: Sequence[str], *, name: str = THIS_TREE) -> Iterator[Side]:
    """The working tree as it is, with the interpreter that runs this. Raises HarnessError."""
    yield look(role, name, ROOT, Path(sys.executable), stacks)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A side that can be had, as far as can be known before anything is installed.

    ref: the commit to take the tree from; None for the working tree. pins: what its environment
    holds; None where it is that of the interpreter that runs this.
    """

    role: Role
    name: str
    ref: str | None
    pins: tuple[Pin, ...] | None


def wanted(
    wish: str,
    say: Say,
    *,
    role: Role = Role.BASE,
    root: Path = ROOT,
    lock: str = LOCK,
    roots: Sequence[str] | None = None,
    beside: Wanted | None = None,
) -> Wanted:
    """What a person asked for, a git ref or versions of packages, looked up.

    lock: the file of the side's tree that its environment is made from, where it needs one.
    roots: the distributions that are needed, with all that they need; None: all of the lock.
    beside: the other side, whose versions are taken before the lock's, so that both differ by what
    was named and by nothing else.
    Raises HarnessError with the one reason why it cannot be had.
    """
    here = root / lock
    if are_packages(wish):
        if not here.is_file():
            raise HarnessError(f"{lock} is missing, so the environment is not known")
        text, replaced = here.read_text(encoding="utf-8"), wish.split()
        pins = packages.chosen(_like(text, beside), replaced, roots)
        _tell(role, wish, text, replaced, pins, say)
        return Wanted(role, wish, None, pins)
    ref = worktree.resolved(wish, root)
    there = worktree.text(ref, lock, root)
    if there is None:
        raise HarnessError(f"{wish} has no {lock}, so its environment is not known")
    if here.is_file() and there == here.read_text(encoding="utf-8"):
        return Wanted(role, wish, ref, None)
    say(f"{role}: {wish} has another {lock}, so it gets an environment of its own")
    return Wanted(role, wish, ref, packages.chosen(there, (), roots))


def _like(lock: str, other: Wanted | None) -> str:
    """A lock with another side's versions of what that side does not name."""
    if other is None or other.pins is None or not are_packages(other.name):
        return lock
    named = names_of(other.name)
    pins = pins_of(lock) | {pin.name: pin for pin in other.pins if pin.name not in named}
    return "".join(f"{pin}\n" for pin in pins.values())


def names_of(wish: str) -> set[str]:
    """The packages that versions are named of."""
    return {normal(re.split(r"[\[=~!<>]", requirement)[0]) for requirement in wish.split()}


def _tell(
    role: Role, wish: str, lock: str, replaced: Sequence[str], pins: Sequence[Pin], say: Say
) -> None:
    """Which environment that is, and what else is not as in the lock."""
    locked = pins_of(lock)
    named = names_of(" ".join(replaced))
    others = [
        f"{pin.name} {pin.version}"
        for pin in pins
        if pin.name not in named
        and (pin.name not in locked or locked[pin.name].version != pin.version)
    ]
    more = f"; not as in the lock, so that all fit: {', '.join(others)}"
    say(f"{role}: an environment of its own with {wish}{more if others else ''}")


@contextmanager
def opened(side: Wanted, stacks: Sequence[str], *, root: Path = ROOT) -> Iterator[Side]:
    """The side itself. What it takes is removed again, but for a kept environment.

    Raises HarnessError with the one reason why it cannot be had.
    """
    with ExitStack() as cleanup:
        tree, python = root, Path(sys.executable)
        if side.ref is not None:
            tree = cleanup.enter_context(worktree.at(side.ref, root))
        layout = layout_of(tree)
        if layout is None:
            raise HarnessError(
                f"{side.name} has no servers that this check can start: it is older than the "
                "check, or not this suite"
            )
        if side.pins is not None:
            python = cleanup.enter_context(packages.environment(side.pins))
        if side.ref is not None:
            worktree.write_bytecode(python, tree, layout.measured)
        yield look(side.role, side.name, tree, python, stacks)


@dataclass(frozen=True, slots=True)
class _CaseFacts:
    """A Case as a tree says it, see `introspection.case_json`."""

    name: str
    route: str | None
    in_thread: bool
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    status: int
    content_type: str | None
    answer: bytes
    answer_is_pattern: bool
    allow: str | None
    filling_bytes: int
    tail: bytes
    chunked: bool


@dataclass(frozen=True, slots=True)
class _TreeFacts:
    """What a tree says of itself, see `introspection.main`."""

    python: str
    libc: str | None
    lock: str
    packages: Mapping[str, str]
    stacks: tuple[str, ...]
    cases: tuple[_CaseFacts, ...]


def look(role: Role, name: str, root: Path, python: Path, stacks: Sequence[str]) -> Side:
    """A Side of what is there. Raises HarnessError where it cannot say what it is."""
    facts = _ask(name, root, python, stacks)
    cases = {case.name: _case(case) for case in facts.cases}
    return Side(
        role=role,
        name=name,
        root=root,
        python=python,
        commit=worktree.commit(root),
        changed=worktree.changed(root),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint={
            "python": facts.python,
            "libc": facts.libc,
            "cpu": _cpu(),
            "method": _method(),
            "machine": platform.machine(),
            "lock": facts.lock,
        },
        packages=facts.packages,
        stacks=frozenset(facts.stacks),
        cases=cases,
        routes={case.name: case.route for case in facts.cases if case.route is not None},
        in_thread=frozenset(case.name for case in facts.cases if case.in_thread),
    )


def _ask(name: str, root: Path, python: Path, stacks: Sequence[str]) -> _TreeFacts:
    layout = layout_of(root)
    if layout is None:
        raise HarnessError(f"{name}: {root} holds no servers that this check can start")
    text = Path(introspection.__file__).read_text(encoding="utf-8")
    command = [str(python), "-c", text, layout.cases, layout.routes, layout.stacks, *stacks]
    what = f"{name}: its contract cannot be read"
    output = processes.succeed(what, command, _ASK_BOUND_S, root)
    try:
        return from_json(_TreeFacts, json.loads(output))
    except ValueError as error:
        raise HarnessError(f"{what}: {error}") from error


def _case(facts: _CaseFacts) -> Case:
    body, tail = facts.body, facts.tail
    return Case(
        facts.name,
        Request(facts.method, facts.target, facts.headers, body, facts.filling_bytes, tail),
        Expected(
            facts.status,
            facts.content_type,
            re.compile(facts.answer) if facts.answer_is_pattern else facts.answer,
            facts.allow,
            facts.chunked,
        ),
    )


def _method() -> str | None:
    """How instructions are counted, and on which processors this is the same."""
    processors = "any processor" if every_processor() else _cpu()
    return None if processors is None else f"{METHOD}, {processors}"


def _cpu() -> str | None:
    """Model, and a digest of the features: the C library and others choose their code by them."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or None
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    features = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.M)
    sorted_ = " ".join(sorted(features.group(1).split())) if features else ""
    digest = hashlib.sha256(sorted_.encode()).hexdigest()[:16]
    return f"{model.group(1) if model else 'unknown model'}, features {digest}"
