"""What the Questions about parsing share: one request, its answer, and what becomes of the
connection; and the smallest application on either server."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import Answer, Experiment
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Reply, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

Serve = Callable[..., AbstractContextManager[Live]]
"""Serves an application of its own; options are the server's."""

OPEN, CLOSES, WAITS = "stays open", "then closes", "then waits"

FOLLOWING = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came back. reply: None where no answer did.

    fate: OPEN, where an ordinary request on the same connection was answered
    next, CLOSES, or WAITS where neither happened in time.
    """

    reply: Reply | None
    fate: str

    @property
    def words(self) -> str:
        """Status and fate, such as `413, then closes`."""
        return f"{self.reply.status if self.reply else 'no answer'}, {self.fate}"

    @property
    def told(self) -> str:
        """The same for people, with the beginning of the body."""
        if self.reply is None:
            return f"no answer came, and the connection {self.fate}"
        body = " ".join(_without_tags(self.reply.text).split())[:80]
        said = f"said {body!r}" if body else "had no body"
        return f"the answer was {self.reply.status} and {said}; the connection {self.fate}"


def _without_tags(text: str) -> str:
    return re.sub(r"(?s)<(title|style)>.*?</\1>|<[^>]*>", " ", text)


def exchange(port: int, data: bytes, bound_s: float = 5.0, *, to_head: bool = False) -> Exchange:
    """Send these bytes, read the answer, and see whether the connection is still of use."""
    with Wire(port) as wire:
        with suppress(ConnectionError):  # closed while it still listened: it may have answered
            wire.send(data)
        try:
            reply = wire.answer(bound_s, to_head=to_head)
        except NoAnswer:
            return Exchange(None, _closed_or_waits(wire))
        try:
            wire.send(FOLLOWING)
            wire.answer(bound_s)
        except (NoAnswer, ConnectionError):
            return Exchange(reply, _closed_or_waits(wire))
        return Exchange(reply, OPEN)


def _closed_or_waits(wire: Wire) -> str:
    return WAITS if wire.closed(0.2) is None else CLOSES


def head(method: str, target: str, *lines: str) -> bytes:
    """The head of a request; lines: headers beside Host."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def post(target: str, content_type: str, body: bytes, *lines: str) -> bytes:
    """A whole POST request."""
    described = (f"Content-Type: {content_type}", f"Content-Length: {len(body)}")
    return head("POST", target, *described, *lines) + body


def reply_to(port: int, data: bytes, bound_s: float = 10.0) -> Reply:
    """The answer to these bytes on a connection of their own. Raises NoAnswer."""
    with Wire(port) as wire:
        wire.send(data)
        return wire.answer(bound_s)


def aiohttp_plain(**options: Any) -> AbstractContextManager[Live]:
    """GET and POST / say how long the body was."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{len(await request.read())} bytes")

    app = web.Application()
    app.router.add_get("/", handler)
    app.router.add_post("/", handler)
    return aiohttp_server(app, **options)


def quart_plain(**options: Any) -> AbstractContextManager[Live]:
    """GET and POST / say how long the body was."""
    app = Quart(__name__)

    @app.route("/", methods=["GET", "POST"])
    async def handler() -> str:
        return f"{len(await request.get_data())} bytes"

    return hypercorn_server(app, **options)


PLAIN: Mapping[str, Serve] = {"aiohttp": aiohttp_plain, "quart-hypercorn": quart_plain}


def both(
    setting: str, ask: Callable[..., Answer], *args: Any, servers: Mapping[str, Serve] = PLAIN
) -> tuple[Experiment, ...]:
    """The same experiment on each stack: ask(serve, *args)."""
    return tuple(
        Experiment(stack, setting, partial(ask, serve, *args)) for stack, serve in servers.items()
    )


def outcome(serve: Serve, data: bytes, **options: Any) -> Answer:
    """Send these bytes to the application: the status, and what becomes of the connection."""
    with serve(**options) as server:
        seen = exchange(server.port, data)
    return Answer(seen.words, seen.told)
