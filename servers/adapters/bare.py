"""The interface between the bare application and what runs it: requests, handlers, the router."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.handlers.basic import Answer
from loopbench.servers.handlers.data import Stream, Upload
from loopbench.servers.settings import Settings


@dataclass(frozen=True, slots=True)
class Request:
    """One parsed request; `path` and `query` as sent, `parameters` decoded.

    upload: what has read the body in pieces, in place of `body`.
    """

    method: str
    path: str
    query: str
    parameters: tuple[str, ...]
    headers: dict[bytes, bytes]
    body: bytes
    upload: Upload | None = None

    def argument(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next((value for key, value in self.pairs() if key == name), None)

    def pairs(self) -> list[tuple[str, str]]:
        return parse_qsl(self.query, keep_blank_values=True)


Handler = Callable[[Any, Request], Answer | Stream | Awaitable[Answer]]
"""Called with the Application and the Request."""


class Application(Protocol):
    """The router of a bare application, and the settings that hold for its requests."""

    settings: Settings

    def find(self, method: str, path: str) -> tuple[Handler, tuple[str, ...]]:
        """The handler, or one that answers 404 or 405, and the path's parameters."""

    def arriving(self, method: str, path: str, headers: dict[bytes, bytes]) -> Upload | None:
        """What is to read the body in pieces, where the route wants that. Raises Refused(413)."""

    def in_force(self) -> InForce:
        """The settings that are the application's: body_limit_bytes, json."""


def answering(answer: Answer) -> Handler:
    """A handler that always answers so."""
    return lambda app, request: answer
