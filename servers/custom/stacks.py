"""Stacks of a person's own application: a row for each server that is to run it.

Which servers can is a column of the table of stacks, `servers.stacks`: their rows lend their
server and their loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from loopbench.servers.custom.look import Looks
from loopbench.servers.errors import ServerError
from loopbench.servers.parts import AIOHTTP, ASGI, Application, Loop, OwnApp, Server
from loopbench.servers.stacks import LOOPS, SERVERS, STACKS, Stack, combine

_MODULE = "loopbench.servers.custom.hosted"
PREFIX = "app-"


@dataclass(frozen=True, slots=True)
class Host:
    """A server on a loop that can run a person's application."""

    server: Server
    loop: Loop

    @property
    def kind(self) -> str:
        """What it runs: AIOHTTP or ASGI."""
        return self.server.interface


HOSTS: dict[str, Host] = {
    stack.host: Host(SERVERS[stack.server], LOOPS[stack.loop])
    for kind in (AIOHTTP, ASGI)
    for stack in STACKS.values()
    if stack.host is not None and SERVERS[stack.server].interface == kind
}
"""By the name that `--on` takes; the first of a kind is that kind's default."""


def rows(own: OwnApp, looks: Looks, on: tuple[str, ...] = ()) -> dict[str, Stack]:
    """A Stack for each of the servers `on`, keys of HOSTS; for the kind's default without any.

    Raises ServerError for a server of another kind.
    """
    fitting = [name for name, host in HOSTS.items() if host.kind == looks.kind]
    for name in on:
        if name not in fitting:
            raise ServerError(
                f"{own.target} is an application for {looks.kind}, which {name} does not run; "
                f"choose --on from {', '.join(fitting)}"
            )
    return {PREFIX + name: _row(own, looks, name) for name in on or fitting[:1]}


def _row(own: OwnApp, looks: Looks, name: str) -> Stack:
    host = HOSTS[name]
    row = combine(
        PREFIX + name,
        Application(
            framework=f"{looks.framework}, own application",
            interface=looks.kind,
            module=_MODULE,
            packages=looks.packages,
        ),
        host.server,
        host.loop,
        f"a person's own application, {own.target}",
    )
    # The contract is not asked of it, so it has no holes in it.
    return replace(
        row,
        options={**host.server.options, **host.server.own_options},
        holes={},
        own=looks.told(own),
    )
