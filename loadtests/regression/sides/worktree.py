"""Another commit of this repository in a folder of its own, and what state a tree is in."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.servers.supervision.child_process import interrupts_deferred

_BOUND_S = 60.0


@contextmanager
def at(ref: str, repository: Path) -> Iterator[Path]:
    """A detached worktree of `ref` in a temporary folder; gone afterwards, whatever happens.

    The user's tree and index are not touched, and no hook of the repository runs.
    Raises HarnessError for a ref that does not exist and where git refuses.
    """
    found = _resolve(ref, repository)
    with tempfile.TemporaryDirectory(prefix="loopbench-base-") as temporary:
        tree = Path(temporary) / "tree"
        try:
            # A worktree that was begun must be known here, so that it is removed again.
            with interrupts_deferred():
                _git(repository, "worktree", "add", "--quiet", "--detach", str(tree), found)
            yield tree
        finally:
            with interrupts_deferred():
                _run(repository, "worktree", "remove", "--force", str(tree))
                _forget(repository, tree)


def _resolve(ref: str, repository: Path) -> str:
    if commit(repository) is None:
        raise HarnessError(f"{ref!r} cannot be looked up: there is no git, or no git repository")
    done = _run(
        repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"
    )
    if done.returncode:
        raise HarnessError(
            f"there is no git ref {ref!r}; name a branch, a tag or a commit (a shallow clone has "
            "few: fetch it first), or versions of packages, as in 'aiohttp==3.13.0'"
        )
    return done.stdout.strip()


def _forget(repository: Path, tree: Path) -> None:
    """Where git could not remove it, at least its note of it must not stay."""
    if tree.exists():
        shutil.rmtree(tree, ignore_errors=True)
        _run(repository, "worktree", "prune")


def commit(root: Path) -> str | None:
    """The commit that a tree is at; None where it is no git tree."""
    done = _run(root, "rev-parse", "HEAD")
    return done.stdout.strip() if done.returncode == 0 else None


def changed(root: Path) -> bool | None:
    """Whether a tree holds what its commit does not, files that git does not know included."""
    done = _run(root, "status", "--porcelain")
    return bool(done.stdout.strip()) if done.returncode == 0 else None


def _git(repository: Path, *arguments: str) -> None:
    done = _run(repository, *arguments)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise HarnessError(f"git {arguments[0]} {arguments[1]} failed: {last}")


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
