"""Another commit of this repository in a folder of its own, and what state a tree is in."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.servers.supervision.child_process import interrupts_deferred
from loopbench.servers.supervision.scratch import scratch_folder

_BOUND_S = 60.0
_COMPILE_S = 120.0


@contextmanager
def at(ref: str, repository: Path) -> Iterator[Path]:
    """A detached worktree of `ref` in a temporary folder; gone afterwards, whatever happens.

    The user's tree and index are not touched, and no hook of the repository runs.
    Raises HarnessError for a ref that does not exist and where git refuses.
    """
    revision = resolved(ref, repository)
    with scratch_folder("base_") as temporary:
        tree = temporary / "tree"
        try:
            # A worktree that was begun must be known here, so that it is removed again.
            with interrupts_deferred():
                _git(repository, "worktree", "add", "--quiet", "--detach", str(tree), revision)
            yield tree
        finally:
            with interrupts_deferred():
                _run(repository, "worktree", "remove", "--force", str(tree))
                _forget(repository, tree)


def write_bytecode(python: Path, tree: Path, folders: Sequence[str]) -> None:
    """Compile folders of a tree that is there for a check alone, once, by the Python of its side.

    Without bytecode, and where PYTHONDONTWRITEBYTECODE is set, each start of a server would compile
    the tree anew, which takes longer than the start. That start says what does not compile.
    Raises HarnessError where Python cannot be started, or takes too long.
    """
    command = [str(python), "-m", "compileall", "-q", *folders]
    try:
        subprocess.run(
            command, cwd=tree, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMPILE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HarnessError(f"{tree} cannot be compiled: {error}") from error


def resolved(ref: str, repository: Path) -> str:
    """The commit that a ref names. Raises HarnessError for one that does not exist."""
    if commit(repository) is None:
        raise HarnessError(f"{ref!r} cannot be looked up: there is no git, or no git repository")
    known = commit_of(ref, repository)
    if known is None:
        raise HarnessError(
            f"there is no git ref {ref!r}; name a branch, a tag or a commit (a shallow clone has "
            "few: fetch it first), or versions of packages, as in 'aiohttp==3.13.0'"
        )
    return known


def commit_of(ref: str, repository: Path) -> str | None:
    """The commit that a ref names; None where there is none of that name."""
    return _line(
        repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"
    )


def branch(repository: Path) -> str | None:
    """The branch that is checked out; None where it is a commit."""
    return _line(repository, "symbolic-ref", "--quiet", "--short", "HEAD")


def merge_base(ref: str, repository: Path) -> str | None:
    """The last commit that HEAD and a ref have in common; None where there is none."""
    known = commit_of(ref, repository)
    return None if known is None else _line(repository, "merge-base", "HEAD", known)


def commits_since(ancestor: str, repository: Path) -> int:
    """How many commits HEAD has that `ancestor`, one of its own, does not have."""
    return int(_git(repository, "rev-list", "--count", f"{ancestor}..HEAD"))


def text(ref: str, file: str, repository: Path) -> str | None:
    """What a file holds in a commit; None where the commit has no such file."""
    done = _run(repository, "show", f"{ref}:{file}")
    return done.stdout if done.returncode == 0 else None


def _forget(repository: Path, tree: Path) -> None:
    """Where git could not remove it, at least its note of it must not stay."""
    if tree.exists():
        shutil.rmtree(tree, ignore_errors=True)
        _run(repository, "worktree", "prune")


def commit(root: Path) -> str | None:
    """The commit that a tree is at; None where it is no git tree."""
    return _line(root, "rev-parse", "HEAD")


def changed(root: Path) -> bool | None:
    """Whether a tree holds what its commit does not, files that git does not know included."""
    done = _run(root, "status", "--porcelain")
    return bool(done.stdout.strip()) if done.returncode == 0 else None


def _line(repository: Path, *arguments: str) -> str | None:
    """What git says; None where it ends with a failure."""
    done = _run(repository, *arguments)
    return done.stdout.strip() if done.returncode == 0 else None


def _git(repository: Path, *arguments: str) -> str:
    done = _run(repository, *arguments)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise HarnessError(f"git {arguments[0]} {arguments[1]} failed: {last}")
    return done.stdout.strip()


def _run(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Optional locks: `status` would otherwise write the index anew.
    command = [
        "git",
        "--no-optional-locks",
        "-c",
        "core.hooksPath=/dev/null",
        "-C",
        str(repository),
    ]
    try:
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=_BOUND_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
