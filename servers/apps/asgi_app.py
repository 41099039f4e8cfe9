"""The contract as a bare ASGI application: what a server costs without a framework on it."""

from __future__ import annotations

import asyncio
from typing import Any

from loopbench.servers.adapters import asgi
from loopbench.servers.adapters.asgi import Receive, Scope, Send
from loopbench.servers.adapters.asyncio_websocket import ECHO_PATH
from loopbench.servers.adapters.bare import Request
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.apps.asyncio_app import App as Router
from loopbench.servers.handlers import basic
from loopbench.servers.handlers.basic import Answer, Refused
from loopbench.servers.handlers.data import Stream, Upload
from loopbench.servers.settings import Settings


class _Left(Exception):
    """The client has left before its body was whole."""


class App:
    """The yardstick's router and handlers behind the ASGI interface."""

    def __init__(self, settings: Settings) -> None:
        self.startup_failure: BaseException | None = None
        self._router = Router(settings)
        self._limit = settings.body_limit_bytes
        self._debug = settings.debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["path"] == ECHO_PATH:
            await _echo(receive, send)
        else:
            await send({"type": "websocket.close"})  # before it is accepted: a 403

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        try:
            answer = await self._answer(method, scope, receive)
        except Refused as refused:
            answer = basic.error(refused.status)
        except _Left:
            return
        except Exception as error:
            answer = basic.failed(method, scope["path"], error)
        if isinstance(answer, Stream):
            await _pour(answer, method, send)
            return
        body = answer.body
        headers = [
            (b"content-type", answer.content_type.encode("ascii")),
            (b"content-length", b"%d" % len(body)),
        ]
        if answer.allow is not None:
            headers.append((b"allow", answer.allow.encode("ascii")))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    async def _answer(self, method: str, scope: Scope, receive: Receive) -> Answer | Stream:
        path = scope["raw_path"].decode("latin-1")
        handler, parameters = self._router.find(method, path)
        headers = dict(scope["headers"])
        body = b""
        upload = self._router.arriving(method, path, headers)
        if upload is not None:
            await _read_in_pieces(upload, receive)
        elif handler in self._router.readers:
            body = await self._body(headers, receive)
        query = scope["query_string"].decode("latin-1")
        request = Request(method, path, query, parameters, headers, body, upload)
        answer = handler(self._router, request)
        if isinstance(answer, Answer | Stream):
            return answer
        return await answer

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Raises Refused(413) for one beyond the limit, as soon as that is known."""
        if int(headers.get(b"content-length", b"0")) > self._limit:
            raise Refused(413)
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise _Left
            part = message.get("body", b"")
            size += len(part)
            if size > self._limit:
                raise Refused(413)
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)

    def handling(self) -> set[asyncio.Task[Any]]:
        """See `asgi.Application`. The servers run a request in one task, under frames of theirs."""
        return {
            task
            for task in asyncio.all_tasks()
            if any(
                names.get("self") is self
                and "scope" in names
                and names["scope"]["type"] != "lifespan"
                for names in asgi.awaited_frames(task)
            )
        }

    def in_force(self) -> InForce:
        """See `asgi.Application`."""
        return {
            "body_limit_bytes": self._limit,
            "debug": self._debug,
            "json": basic.example().body.decode(),
        }


async def _read_in_pieces(upload: Upload, receive: Receive) -> None:
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _Left
        upload.write(message.get("body", b""))
        more = message.get("more_body", False)


async def _pour(stream: Stream, method: str, send: Send) -> None:
    headers = [(b"content-type", stream.content_type.encode("ascii"))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if method != "HEAD":
        for chunk in stream.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _echo(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        payload = {key: message[key] for key in ("bytes", "text") if message.get(key) is not None}
        await send({"type": "websocket.send", **payload})


async def _lifespan(receive: Receive, send: Send) -> None:
    kind = ""
    while kind != "lifespan.shutdown":
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})


def create_app(settings: Settings) -> App:
    """The application."""
    return App(settings)
