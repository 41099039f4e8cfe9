"""What the WSGI servers here have in common: the application's side of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from wsgiref.types import StartResponse, WSGIEnvironment

from loopbench.servers.adapters.protocol import InForce


class Application(Protocol):
    """A WSGI application that knows which settings are in force in it."""

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]: ...

    def in_force(self) -> InForce:
        """The settings that are the application's: body_limit_bytes, debug, json."""
