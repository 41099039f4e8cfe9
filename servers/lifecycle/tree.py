"""A tree of this suite as another interpreter runs it: the names by which it knows its modules.

The regression check starts servers of other commits. What it needs of a commit is listed here, once
for each layout that the suite has had.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """The modules of a tree by the names that its own code imports them by.

    marker: a file that shows that a tree has this layout. child: the process around one server.
    cases: holds CASES. routes: holds `route_of`. stacks: holds STACKS. measured: the folders that a
    server needs, from the tree's root.
    """

    marker: str
    child: str
    cases: str
    routes: str
    stacks: str
    measured: tuple[str, ...]


_NEWEST = Layout(
    marker="servers/contract/routes.py",
    child="loopbench.servers.lifecycle.child_main",
    cases="loopbench.servers.contract.cases",
    routes="loopbench.servers.contract.routes",
    stacks="loopbench.servers.stacks",
    measured=("loopbench", "servers", "results"),
)
LAYOUTS: tuple[Layout, ...] = (
    _NEWEST,
    replace(_NEWEST, marker="servers/lifecycle/child_main.py", routes=_NEWEST.cases),
    Layout(
        marker="servers/child.py",
        child="servers.child",
        cases="servers.contract",
        routes="servers.contract",
        stacks="servers.stacks",
        measured=("servers", "results"),
    ),
)
"""The newest first. The last is that of the trees before the packages were sorted, the one above it
that of those whose routes stood among the cases."""


def layout_of(root: Path) -> Layout | None:
    """The layout of the tree at `root`; None where it is no tree of the suite, or too old."""
    return next((layout for layout in LAYOUTS if (root / layout.marker).is_file()), None)
