"""What the WSGI servers here have in common: the application's side of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from loopbench.servers.adapters.protocol import InForce


class Application(Protocol):
    """A WSGI application that knows which settings are in force in it."""

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]: ...

    def in_force(self) -> InForce:
        """The settings that are the application's: body_limit_bytes, debug, json."""
