"""What a side says of itself: run by the side's own interpreter, in the side's own tree.

Given as text to `python -c`, so that the tree it runs in need not have this file. It uses the
standard library and three modules of the tree, and prints one JSON object. Arguments: the names of
the modules that hold CASES, `route_of` and STACKS, and the stacks whose packages count.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def installed(wanted: list[str]) -> dict[str, str]:
    """Versions of these distributions and of all that they need, as far as they are installed."""
    versions: dict[str, str] = {}
    open_ = list(wanted)
    while open_:
        name = re.sub(r"[-_.]+", "-", open_.pop()).lower()
        if name in versions:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform, or not needed on this Python
        versions[name] = distribution.version
        for requirement in distribution.requires or ():
            match = _NAME.match(requirement)
            if match is not None and "extra ==" not in requirement:
                open_.append(match.group())
    return dict(sorted(versions.items()))


def case_json(case: Any, route: Any) -> dict[str, Any]:
    """A Case as JSON types; bytes travel as latin-1 text."""
    pattern = isinstance(case.expected.body, re.Pattern)
    answer = case.expected.body.pattern if pattern else case.expected.body
    return {
        "name": case.name,
        "route": None if route is None else route.name,
        "in_thread": route is not None and route.dispatch.value == "sync",
        "method": case.request.method,
        "target": case.request.target,
        "headers": [list(pair) for pair in case.request.headers],
        "body": case.request.body.decode("latin-1"),
        "status": case.expected.status,
        "content_type": case.expected.content_type,
        "answer": answer.decode("latin-1"),
        "answer_is_pattern": pattern,
        "allow": case.expected.allow,
        # Trees from before had neither.
        "filling_bytes": getattr(case.request, "filling_bytes", 0),
        "tail": getattr(case.request, "tail", b"").decode("latin-1"),
        "chunked": getattr(case.expected, "chunked", False),
    }


def of_tree(module: Any) -> None:
    """Exit where a module does not come from the tree that this runs in: an interpreter whose
    environment holds another clone would otherwise measure that one without a word."""
    if not Path(module.__file__).resolve().is_relative_to(Path.cwd().resolve()):
        sys.exit(f"{module.__name__} comes from {module.__file__}, which is not of this tree")


def main(cases_module: str, routes_module: str, stacks_module: str, *stacks: str) -> None:
    cases = importlib.import_module(cases_module)
    of_tree(cases)
    routes = importlib.import_module(routes_module)
    STACKS = importlib.import_module(stacks_module).STACKS

    def route_of(case: Any) -> Any:
        try:
            return routes.route_of(case.request)
        except LookupError:
            return None

    needed = [name for stack in stacks if stack in STACKS for name in STACKS[stack].packages]
    packages = installed(needed)
    listed = "\n".join(f"{name}=={version}" for name, version in packages.items())
    facts = {
        "python": " ".join(sys.version.split()),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "lock": hashlib.sha256(listed.encode()).hexdigest(),
        "packages": packages,
        "stacks": sorted(STACKS),
        "cases": [case_json(case, route_of(case)) for case in cases.CASES.values()],
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
