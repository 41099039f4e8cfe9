"""The Probe that is on in this process, if one is.

Applications hand it their handlers and their pools through this module, which knows of a Probe only
what they need: a server that nobody watches starts without the Probe's own modules.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from loopbench.servers.probe.connection_pool import PoolWatch

Handler = TypeVar("Handler", bound=Callable[..., Any])
Made = TypeVar("Made")
"""What an application makes of a handler, and calls."""


class Active(Protocol):
    """What is asked of a Probe that is on, see `servers.probe.probe.Probe`."""

    pool: PoolWatch

    def watch(self, name: str, handler: Handler) -> Handler:
        """`handler`, counted as route `name`."""

    def watch_by_turns(
        self,
        name: str,
        handler: Handler,
        whole: Callable[[Handler], Made],
        put: Callable[[Made], None],
    ) -> None:
        """The same, by having the application call another handler while the Probe rests."""

    def forked(self) -> None:
        """Begin anew in a forked child."""


_active: Active | None = None


@contextmanager
def turned_on(probe: Active) -> Iterator[None]:
    """Meanwhile it is on. Raises RuntimeError where another one is."""
    global _active
    if _active is not None:
        raise RuntimeError("a Probe is on already in this process")
    _active = probe
    try:
        yield
    finally:
        _active = None


def watch(name: str, handler: Handler) -> Handler:
    """`handler` as the route `name` of the Probe that is on, or as it is where none is."""
    return handler if _active is None else _active.watch(name, handler)


def watch_by_turns(
    name: str, handler: Handler, whole: Callable[[Handler], Made], put: Callable[[Made], None]
) -> None:
    """As Probe.watch_by_turns of the Probe that is on. Where none is, `put` is not called: the
    application is to call `whole(handler)` already."""
    if _active is not None:
        _active.watch_by_turns(name, handler, whole, put)


def pool_watch() -> PoolWatch:
    """The watch over pools of the Probe that is on; one that nobody reads where none is."""
    return PoolWatch() if _active is None else _active.pool


def _forget() -> None:
    """A forked worker is another process: its parent's counts are not its own."""
    if _active is not None:
        _active.forked()


os.register_at_fork(after_in_child=_forget)
