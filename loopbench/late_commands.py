"""Groups of commands that are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pkgutil import resolve_name
from typing import Any

import click
from click.exceptions import NoSuchCommand


class Suggesting(click.Group):
    """A group whose commands are imported late; click looks for near names among others only."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; a usage error names the nearest command."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            known = self.list_commands(ctx)
            raise NoSuchCommand(error.command_name, possibilities=known, ctx=ctx) from None


class LateCommands(Suggesting):
    """Commands by where each one is, as in `package.module:name`.

    No command waits for what another needs. Their help imports them all. within: what a command is
    imported in.
    """

    def __init__(
        self,
        *arguments: Any,
        places: Mapping[str, str],
        within: Callable[[], AbstractContextManager[None]] = nullcontext,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._places = places
        self._within = within

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, where there is one."""
        if cmd_name not in self._places:
            return None
        with self._within():
            command: click.Command = resolve_name(self._places[cmd_name])
        return command
