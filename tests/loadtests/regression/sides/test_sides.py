"""Sides come from where they were asked for, say what they are, and leave nothing behind."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.sides.sides import (
    LOCK,
    Role,
    are_packages,
    look,
    this_tree,
)
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.routes import ROUTES, route_of
from tests.conftest import ROOT
from tests.loadtests.regression.trees import STACKS, git, python, repository, side_of, tree


def _say(line: str) -> None:
    pass


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository of one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    return repository(folder)


@pytest.mark.parametrize(
    ("wish", "packages"),
    [
        ("aiohttp==3.13.0", True),
        ("aiohttp==3.13.0 yarl>=1.20,<2", True),
        ("quart~=0.20", True),
        ("main", False),
        ("HEAD~3", False),
        ("aiohttp", False),
        ("v1.0 aiohttp==3.13.0", False),
        ("", False),
    ],
)
def test_packages_are_told_from_refs(wish: str, packages: bool) -> None:
    """What names a version is a package; everything else is for git to know."""
    assert are_packages(wish) is packages


def test_this_tree_says_its_own_contract() -> None:
    """Cases travel whole through the interpreter that is asked, each with its route."""
    with this_tree(Role.CANDIDATE, STACKS) as side:
        pass
    assert side.cases == CASES
    # The one of WebSockets is asked without an upgrade, too.
    assert set(side.routes.values()) == {route.name for route in ROUTES} | {"ws-echo"}
    assert side.routes["plain-head"] == "plain"
    assert "unknown-path" not in side.routes
    assert side.packages["aiohttp"]
    assert "locust" not in side.packages
    assert all(side.fingerprint.values())
    with pytest.raises(LookupError):
        route_of(CASES["unknown-path"].request)


def test_the_lock_of_a_fingerprint_is_of_the_stacks_packages(tmp_path: Path) -> None:
    """Two trees in one environment agree; another stack has other packages."""
    one, other = (
        look(Role.BASE, "x", ROOT, Path(sys.executable), [s]) for s in ("aiohttp", "asyncio")
    )
    again = look(Role.BASE, "y", tree(tmp_path), Path(sys.executable), STACKS)
    assert one.fingerprint == again.fingerprint
    assert one.fingerprint["lock"] != other.fingerprint["lock"]


def test_a_ref_is_a_worktree_for_a_while(repo: Path) -> None:
    """The base is the commit, not the changed tree; afterwards git knows of one tree again, and
    the changed tree and its index are as they were."""
    (repo / "servers" / "new.py").write_text("")
    contract = repo / "servers" / "contract" / "cases.py"
    contract.write_text(contract.read_text() + "# changed\n")
    git(repo, "add", "servers/contract/cases.py")
    index, status = (repo / ".git" / "index").read_bytes(), git(repo, "status", "--porcelain")
    with side_of("first", STACKS, _say, root=repo) as side:
        assert side.root != repo
        assert "# changed" not in (side.root / "servers" / "contract" / "cases.py").read_text()
        assert (side.commit, side.changed) == (git(repo, "rev-parse", "HEAD"), False)
        assert side.python == Path(sys.executable)
        assert len(git(repo, "worktree", "list").splitlines()) == 2
        # No start of a server has to compile it.
        assert list((side.root / "servers" / "contract" / "__pycache__").glob("cases.*.pyc"))
    assert not side.root.exists()
    assert len(git(repo, "worktree", "list").splitlines()) == 1
    assert git(repo, "status", "--porcelain") == status
    assert (repo / ".git" / "index").read_bytes() == index


def test_a_hook_of_the_repository_does_not_run(repo: Path) -> None:
    """`git worktree add` would run post-checkout."""
    hook = repo / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{repo}/hooked'\n")
    hook.chmod(0o755)
    with side_of("first", STACKS, _say, root=repo):
        pass
    assert not (repo / "hooked").exists()


def test_a_dirty_tree_is_recorded(repo: Path) -> None:
    """A file that git does not know changes a tree as much as an edit."""
    assert look(Role.CANDIDATE, "x", repo, Path(sys.executable), STACKS).changed is False
    (repo / "servers" / "new.py").write_text("")
    side = look(Role.CANDIDATE, "x", repo, Path(sys.executable), STACKS)
    assert side.to_json()["changed"] is True


def test_a_tree_without_git_has_no_commit(tmp_path: Path) -> None:
    """As in an unpacked archive."""
    side = look(Role.CANDIDATE, "x", tree(tmp_path), Path(sys.executable), STACKS)
    assert (side.commit, side.changed) == (None, None)


def _refused(repo: Path, wish: str) -> str:
    with pytest.raises(HarnessError) as caught, side_of(wish, STACKS, _say, root=repo):
        raise AssertionError("a base that cannot be had")
    assert len(str(caught.value).splitlines()) == 1
    assert len(git(repo, "worktree", "list").splitlines()) == 1
    return str(caught.value)


def test_a_ref_that_does_not_exist(repo: Path) -> None:
    """One line that says what could be named instead."""
    assert _refused(repo, "no-such-branch").startswith("there is no git ref 'no-such-branch'; name")
    assert _refused(repo, "--help").startswith("there is no git ref '--help'")


def test_a_commit_without_the_servers(repo: Path) -> None:
    """Older than the check, or another project."""
    git(repo, "rm", "--quiet", "-r", "servers")
    git(repo, "commit", "--quiet", "--message", "empty")
    assert _refused(repo, "HEAD").startswith("HEAD has no servers that this check can start")


def test_a_commit_without_a_lock(repo: Path) -> None:
    """Its environment cannot be known."""
    git(repo, "rm", "--quiet", "--cached", LOCK)
    git(repo, "commit", "--quiet", "--message", "no lock")
    assert _refused(repo, "HEAD") == f"HEAD has no {LOCK}, so its environment is not known"


def test_a_commit_whose_contract_cannot_be_imported(repo: Path) -> None:
    """The last line of its own error, and no traceback."""
    (repo / "servers" / "contract" / "cases.py").write_text("raise ValueError('half an edit')\n")
    git(repo, "commit", "--quiet", "--all", "--message", "broken")
    assert _refused(repo, "HEAD") == ("HEAD: its contract cannot be read: ValueError: half an edit")


def test_a_ref_where_there_is_no_repository(tmp_path: Path) -> None:
    """An unpacked archive has no refs."""
    with (
        pytest.raises(HarnessError, match="there is no git, or no git repository"),
        side_of("main", STACKS, _say, root=tree(tmp_path)),
    ):
        raise AssertionError("a base that cannot be had")


def test_an_interrupt_removes_the_worktree(repo: Path) -> None:
    """Ctrl-C in the middle of a check: nothing of the base is left."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.loadtests.regression.trees import side_of\n"
        f"with side_of('first', ['aiohttp'], print, root=Path({str(repo)!r})) as side:\n"
        "    print(side.root, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with python(program) as process:
        assert process.stdout is not None
        root = Path(process.stdout.readline().strip())
        assert root.is_dir()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=240)
    assert "KeyboardInterrupt" in said
    assert not root.exists()
    assert len(git(repo, "worktree", "list").splitlines()) == 1
