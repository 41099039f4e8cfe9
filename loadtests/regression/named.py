"""Whether versions that were named make a difference to the stacks that are checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import metadata

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.layers.started import commands_of
from loopbench.loadtests.regression.sides.needed import OF_THE_SUITE
from loopbench.loadtests.regression.sides.resolution import normal
from loopbench.servers.stacks import STACKS


def expect_run(named: Iterable[str], stacks: Sequence[str]) -> None:
    """Raises HarnessError where packages are named that other stacks run, and none of these: both
    sides would be alike, whatever changed between the versions."""
    own = {*OF_THE_SUITE, *_run_by(stacks)}
    others = {name: _runners(name) for name in named if name not in own and _runners(name)}
    if others and not own.intersection(named):
        name, runners = next(iter(others.items()))
        raise HarnessError(
            f"none of the stacks that are checked ({', '.join(stacks)}) runs {name}: name one that "
            f"does ({', '.join(runners)})"
        )


def unrequired(named: Iterable[str], stacks: Sequence[str]) -> list[str]:
    """Those that no package which these stacks run requires: both sides are alike, unless one of
    these looks for it by itself, as aiohttp does for Brotli. None where a package that they run is
    not installed here, so that it cannot be told."""
    try:
        required = _required({*OF_THE_SUITE, *_run_by(stacks)})
    except metadata.PackageNotFoundError:
        return []
    return sorted(set(named) - required)


def _required(packages: Iterable[str]) -> set[str]:
    """The packages and all that they require, without what an extra asks for."""
    required: set[str] = set()
    found = {normal(name) for name in packages}
    while found:
        required |= found
        wishes = [wish for name in found for wish in metadata.requires(name) or ()]
        plain = (wish for wish in wishes if "extra ==" not in wish.partition(";")[2])
        found = {normal(re.split(r"[^\w.-]", wish, maxsplit=1)[0]) for wish in plain} - required
        found = {name for name in found if _installed(name)}
    return required


def _installed(package: str) -> bool:
    """Whether it is there: what another Python or system needs is not."""
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _run_by(stacks: Iterable[str]) -> set[str]:
    """The packages of these stacks, and those of the commands that start their servers."""
    packages = {name for stack in stacks for name in STACKS[stack].packages}
    return packages | {
        command.package for stack in stacks for command in commands_of(STACKS[stack])
    }


def _runners(package: str) -> list[str]:
    return [stack for stack in STACKS if package in _run_by([stack])]
