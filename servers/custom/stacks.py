"""Stacks of a person's own application: a row for each server that is to run it.

Which servers can is a column of the table of stacks, `servers.stacks`: their rows lend their
server and their loop.
"""

from __future__ import annotations

from dataclasses import replace

from loopbench.servers.custom.look import Looks
from loopbench.servers.errors import ServerError
from loopbench.servers.parts import AIOHTTP, ASGI, Application, Loop, OwnApp, Server
from loopbench.servers.stacks import LOOPS, SERVERS, STACKS, Stack, combine

_MODULE = "loopbench.servers.custom.hosted"
PREFIX = "app-"


HOSTS: dict[str, tuple[Server, Loop]] = {
    stack.host: (SERVERS[stack.server], LOOPS[stack.loop])
    for kind in (AIOHTTP, ASGI)
    for stack in STACKS.values()
    if stack.host is not None and SERVERS[stack.server].interface == kind
}
"""By the name that `--on` takes; the first of a kind is that kind's default."""


def fitting(kind: str) -> list[str]:
    """The keys of HOSTS whose servers run an application of the kind, AIOHTTP or ASGI."""
    return [name for name, (server, _) in HOSTS.items() if server.interface == kind]


def rows(own: OwnApp, looks: Looks, on: tuple[str, ...] = ()) -> dict[str, Stack]:
    """A Stack for each of the servers `on`, keys of HOSTS; for the kind's default without any.

    Raises ServerError for a server of another kind.
    """
    able = fitting(looks.kind)
    for name in on:
        if name not in able:
            raise ServerError(
                f"{own.target} is an application for {looks.kind}, which {name} does not run; "
                f"choose --on from {', '.join(able)}"
            )
    return {PREFIX + name: _row(own, looks, name) for name in on or able[:1]}


def _row(own: OwnApp, looks: Looks, name: str) -> Stack:
    server, loop = HOSTS[name]
    row = combine(
        PREFIX + name,
        Application(
            framework=f"{looks.framework}, own application",
            interface=looks.kind,
            module=_MODULE,
            packages=looks.packages,
        ),
        server,
        loop,
        f"a person's own application, {own.target}",
    )
    # The contract is not asked of it, so it has no holes in it.
    return replace(
        row,
        options={**server.options, **server.own_options},
        holes={},
        own=looks.with_findings(own),
    )
