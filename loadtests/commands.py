"""The group of commands of `python -m loadtests`, some of which are imported late."""

from __future__ import annotations

import importlib

import click

_REGRESSION = "loopbench.loadtests.regression.command"
_LATE = {
    "behaviour": "loopbench.loadtests.behaviour.framework.command",
    "capacity": "loopbench.loadtests.capacity.command",
    "why": "loopbench.loadtests.why.command",
    "instructions": "loopbench.loadtests.why.instructions.command",
    **dict.fromkeys(("selfcheck", "probe-cost"), "loopbench.loadtests.selfcheck.command"),
    **dict.fromkeys(("regression", "baseline", "regression-selftest"), _REGRESSION),
}
"""Commands by the module that has them, which no other command needs and none waits for."""

_SMALL = ("init", "list")
"""Commands that measure nothing, and need little memory."""


class Commands(click.Group):
    """The group, with commands that are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted([*super().list_commands(ctx), *_LATE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, where there is one."""
        module = _LATE.get(cmd_name)
        if module is None:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(
            importlib.import_module(module), cmd_name.replace("-", "_")
        )
        return command


def needs_memory(name: str | None) -> bool:
    """Whether a command needs what a load or statistics need."""
    return name not in _SMALL


def judges(name: str | None) -> bool:
    """Whether an exit status of 1 means that something got worse."""
    return _LATE.get(str(name)) == _REGRESSION
