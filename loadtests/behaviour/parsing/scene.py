"""What the questions about parsing share: one request, its answer, what becomes of the
connection, and small applications for either framework."""

import inspect
import re
import time
from collections.abc import AsyncIterable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, jsonify, request

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, App, Apps, Build, serve
from loopbench.loadtests.behaviour.asking import Answer, experiments
from loopbench.loadtests.behaviour.talking import NoAnswer, Reply, Wire, head

OPEN, CLOSES, WAITS = "stays open", "then closes", "then waits"

FOLLOWING = head("GET", "/")


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
        return f"{self.status}, {self.fate}"

    @property
    def status(self) -> str:
        """The status, or that there was no answer."""
        return f"{self.reply.status}" if self.reply else "no answer"

    @property
    def in_words(self) -> str:
        """The same for people, with the beginning of the body."""
        if self.reply is None:
            return f"no answer came, and the connection {self.fate}"
        plain = re.sub(r"(?s)<(title|style)>.*?</\1>|<[^>]*>", " ", self.reply.text)
        body = " ".join(plain.split())[:80]
        about_body = f"said {body!r}" if body else "had no body"
        return f"the answer was {self.reply.status} and {about_body}; the connection {self.fate}"


def exchange(port: int, *data: bytes, bound_s: float = 5.0, to_head: bool = False) -> Exchange:
    """Send these bytes, read the answer, and see whether the connection is still of use.

    data: in one piece or several, the later ones after a moment, as over a network.
    """
    with Wire(port) as wire:
        with suppress(ConnectionError):  # closed while it still listened: it may have answered
            for number, piece in enumerate(data):
                time.sleep(0.3 * (number > 0))
                wire.send(piece)
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


def post(target: str, content_type: str, body: bytes, *lines: str) -> bytes:
    """A whole POST request; content_type: none where it is blank."""
    described = [f"Content-Type: {content_type}"] if content_type else []
    return head("POST", target, *described, f"Content-Length: {len(body)}", *lines) + body


def exchanged(app: App, *data: bytes, to_head: bool = False, **options: Any) -> Exchange:
    """`exchange` with the application, on a server of these options."""
    with serve(app, **options) as server:
        return exchange(server.port, *data, to_head=to_head)


Words = Callable[[Reply], Answer]


def reading(
    question: str, applications: Apps, requests: Mapping[str, bytes], *, fate: bool = False
) -> Callable[[Words], Words]:
    """A row for each application under each request, given by setting. The function tells what
    an answer of 200 says of it; any other is an Answer by itself: its status, and with `fate` what
    becomes of the connection."""

    rows = experiments(question, applications, requests)

    def register(words: Words) -> Words:
        def ask(application: Build, data: bytes) -> Answer:
            got = exchanged(application(), data)
            if got.reply and got.reply.status == 200:
                return words(got.reply)
            return Answer(got.words if fate else got.status, got.in_words)

        rows(ask)
        return words

    return register


def outcome(application: Build, *data: bytes, **options: Any) -> Answer:
    """Send these bytes to the application: the status, and what becomes of the connection."""
    got = exchanged(application(), *data, **options)
    return Answer(got.words, got.in_words)


async def aiohttp_length(request: web.Request) -> bytes:
    return b"%d bytes" % len(await request.read())


async def quart_length() -> bytes:
    return b"%d bytes" % len(await request.get_data())


async def joined(pieces: AsyncIterable[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def found(value: Any) -> Any:
    """What is read, whether it has to be waited for or not."""
    return await value if inspect.isawaitable(value) else value


def aiohttp_reader(
    read: Callable[[web.Request], Any] = aiohttp_length, path: str = "/", **options: Any
) -> web.Application:
    """GET and POST of the path answer what `read` finds in the request: text and bytes as they are,
    else as JSON. options: of the Application."""

    async def handler(request: web.Request) -> web.Response:
        value = await found(read(request))
        plain = isinstance(value, str | bytes)
        return web.Response(body=value) if plain else web.json_response(value)

    return apps.aiohttp_app(web.get(path, handler), web.post(path, handler), **options)


def quart_reader(read: Callable[[], Any] = quart_length, **config: Any) -> Quart:
    """The same, where `read` takes what it needs from Quart's `request`. config: of the app."""
    app = Quart(__name__)
    app.config.update(config)

    @app.route("/", methods=["GET", "POST"])
    async def handler() -> Any:
        value = await found(read())
        return value if isinstance(value, str | bytes) else jsonify(value)

    return app


PLAIN: Apps = {AIOHTTP: aiohttp_reader, QUART: quart_reader}
"""How long the body was; both take what is to be read in place of it."""


def readers(
    aiohttp: Callable[[web.Request], Any], quart: Callable[[], Any], **options: Any
) -> Apps:
    """An application of each stack that answers what it reads; options: of aiohttp's."""
    return {
        AIOHTTP: partial(aiohttp_reader, aiohttp, **options),
        QUART: partial(quart_reader, quart),
    }
