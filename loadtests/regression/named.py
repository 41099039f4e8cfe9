"""Whether versions that were named make a difference to the stacks that are checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.layers.started import commands_of
from loopbench.loadtests.regression.sides.needed import OF_THE_SUITE
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


def _run_by(stacks: Iterable[str]) -> set[str]:
    """The packages of these stacks, and those of the commands that start their servers."""
    packages = {name for stack in stacks for name in STACKS[stack].packages}
    return packages | {
        command.package for stack in stacks for command in commands_of(STACKS[stack])
    }


def _runners(package: str) -> list[str]:
    return [stack for stack in STACKS if package in _run_by([stack])]
