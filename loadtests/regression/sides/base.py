"""What a tree is compared with where nobody names it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from loopbench.loadtests.regression.sides import worktree
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.results.schema.regression import SIDES_FILE, Unlike, unlike

BASELINE = "baseline"
"""Named as a base: the committed one."""

MAIN_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


def uncounted(side: Side, baseline: Path) -> Unlike | None:
    """Why instructions of a side cannot be compared with the baseline's; None where they can, and
    where there is no baseline that could say so."""
    try:
        document = json.loads((baseline / SIDES_FILE).read_text(encoding="utf-8"))
        base = document["sides"]["base"]
        differ = unlike(base["fingerprint"], side.fingerprint, base["packages"], side.packages)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # for the judging half to name, with file and place
    return differ or None


@dataclass(frozen=True, slots=True)
class Choice:
    """base: a commit, or BASELINE. why: in half a sentence."""

    base: str
    why: str


def choose(root: Path, uncounted: Unlike | None) -> Choice:
    """The merge base with the main branch where the tree has changes since, else the committed
    baseline; where the baseline's instructions cannot be compared, the parent commit.

    uncounted: why they cannot; None where they can.
    """
    head = worktree.commit(root)
    if head is None:
        return Choice(BASELINE, "there is no git history here")
    left = _left_main(root)
    if left is None:
        return Choice(BASELINE, "no main branch has a commit in common with this tree")
    branch, base = left
    if base != head or worktree.changed(root):
        return Choice(base, f"where this tree left {branch}")
    if uncounted is None:
        return Choice(BASELINE, f"this tree is {branch} as it stands, without a change")
    parent = worktree.commit_of("HEAD^", root)
    if parent is None:
        return Choice(BASELINE, f"this tree is {branch} as it stands, and its first commit")
    return Choice(
        parent,
        f"the parent of {branch}, which this tree is as it stands: the baseline {uncounted.why}",
    )


def _left_main(root: Path) -> tuple[str, str] | None:
    """The main branch whose common commit with HEAD is the nearest, and that commit.

    The branch that is checked out says nothing where another does: main is compared with
    origin/main.
    """
    own = worktree.branch(root)
    main_branches = [
        (branch, base)
        for branch in MAIN_BRANCHES
        if (base := worktree.merge_base(branch, root)) is not None
    ]
    others = [pair for pair in main_branches if pair[0] != own] or main_branches
    return min(others, key=lambda pair: worktree.commits_since(pair[1], root), default=None)
