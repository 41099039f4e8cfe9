"""One connection of the yardstick: HTTP and WebSocket on a bare asyncio.Protocol.

It keeps the whole contract with as little as Python needs for it. Small
requests that come again byte for byte are not parsed again, so that a load of
equal requests costs a dictionary look-up, the route's work and one write.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

import httptools

from loopbench.servers.adapters.asyncio_websocket import ECHO_PATH, Echo, Kept, switching
from loopbench.servers.adapters.bare import Application, Handler, Request, answering
from loopbench.servers.contract.content import ERROR_PHRASES
from loopbench.servers.handlers import basic
from loopbench.servers.handlers.basic import Answer, Refused
from loopbench.servers.handlers.data import Stream, Upload

LINGER_S = 2.0
"""How long the rest of a refused request is read and dropped, lest the client's
kernel lose the answer to a reset."""

MEMO_REQUESTS = 4096
MEMO_BYTES = 2048
"""How many different requests are remembered, and how long each may be."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way to its handler, and how its answer is to be sent.

    extra: header lines about the connection.
    last: whether the connection ends with this answer.
    """

    handler: Handler
    request: Request
    extra: bytes
    last: bool


class Hub:
    """What the connections of one server share.

    memo: the Call that each request so far has become, by its bytes. frames: the same of
    WebSockets' messages, with the answer.
    drained: set whenever the last connection has ended.
    """

    def __init__(self, app: Application) -> None:
        self.app = app
        self.memo: dict[bytes, Call] = {}
        self.frames: dict[bytes, bytes] = {}
        self.connections: set[Kept] = set()
        self.stopping = False
        self.drained = asyncio.Event()


class Connection(asyncio.Protocol):
    """One connection. Requests are answered one at a time, in their order."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Call] = deque()
        self.task: asyncio.Task[None] | None = None
        self._in_message = False
        self._deaf = False
        self._memorable = False
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._hosts = 0
        self._body = bytearray()
        self._upload: Upload | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._heard_s = 0.0
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._hub.connections.add(self)
        if self._hub.stopping:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        self._queue.clear()
        if self._silence is not None:
            self._silence.cancel()
        if self.task is not None:
            self.task.cancel()
        self._hub.connections.discard(self)
        if not self._hub.connections:
            self._hub.drained.set()

    def pause_writing(self) -> None:
        self._writable.clear()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._writable.set()
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.task is None and not self._in_message:
            call = self._hub.memo.get(data)
            if call is not None:
                self._begin(call)
                return
        if not self._deaf:
            self._parse(data)
            if self._in_message:
                self._await_rest()

    def _await_rest(self) -> None:
        """Half a request is not waited for longer than another server waits for the next one."""
        loop = asyncio.get_running_loop()
        self._heard_s = loop.time()
        if self._silence is None:
            patience_s = self._hub.app.settings.keep_alive_s
            self._silence = loop.call_later(patience_s, self._rest_is_late)

    def _rest_is_late(self) -> None:
        self._silence = None
        if not self._in_message:
            return
        loop = asyncio.get_running_loop()
        left_s = self._heard_s + self._hub.app.settings.keep_alive_s - loop.time()
        if left_s > 0:
            self._silence = loop.call_later(left_s, self._rest_is_late)
        else:
            self._transport.close()

    def _parse(self, data: bytes) -> None:
        self._memorable = not self._in_message and not self._queue and len(data) <= MEMO_BYTES
        try:
            if self._becomes_a_websocket(data):
                return
        except httptools.HttpParserCallbackError:
            raise  # a mistake of this class, not of the client
        except httptools.HttpParserError:
            self._refuse(400)
        if self._memorable and len(self._queue) == 1 and not self._in_message:
            if len(self._hub.memo) >= MEMO_REQUESTS:
                self._hub.memo.clear()
            self._hub.memo[data] = self._queue[0]
        self._drain()

    def _becomes_a_websocket(self, data: bytes) -> bool:
        """Parse, and say so. After any other offer to switch the connection goes on with HTTP,
        as RFC 9110, 7.8, has it."""
        while data and not self._deaf:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                self._memorable = False
                data = data[upgrade.args[0] :]
                if self._switch(data):
                    return True
        return False

    def _switch(self, rest: bytes) -> bool:
        """Make a WebSocket of the connection, where that is what is asked for; no other protocol
        is spoken here. rest: what came after the request."""
        if self.task is not None or len(self._queue) != 1:
            return False
        request = self._queue[0].request
        answer = switching(request.headers)
        if answer is None or (request.method, request.path) != ("GET", ECHO_PATH):
            return False
        self._queue.clear()
        self._transport.write(answer)
        hub = self._hub
        echo = Echo(self._transport, hub.connections, hub.drained, hub.frames)
        hub.connections.discard(self)
        self._transport.set_protocol(echo)
        if rest:
            echo.data_received(rest)
        return True

    # What httptools calls while it parses.

    def on_message_begin(self) -> None:
        self._in_message = True
        self._url = b""
        self._headers = {}
        self._hosts = 0
        self._body = bytearray()
        self._upload = None

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self._hosts += name == b"host"
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        expects = self._headers.get(b"expect", b"").lower() == b"100-continue"
        limit = self._hub.app.settings.body_limit_bytes
        method, path = self._parser.get_method().decode("latin-1"), self._url.partition(b"?")[0]
        try:
            self._upload = self._hub.app.arriving(method, path.decode("latin-1"), self._headers)
        except Refused as refused:
            self._refuse(refused.status)
            return
        if self._upload is None and int(self._headers.get(b"content-length", b"0")) > limit:
            self._refuse(413)
        elif self._hosts != 1 and self._parser.get_http_version() == "1.1":
            self._refuse(400)
        elif expects and self.task is None and not self._queue:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._memorable = self._memorable and not expects

    def on_body(self, body: bytes) -> None:
        self._memorable = False
        if self._deaf:
            return
        if self._upload is not None:
            try:
                self._upload.write(body)
            except Refused as refused:
                self._refuse(refused.status)
        else:
            self._body += body
            if len(self._body) > self._hub.app.settings.body_limit_bytes:
                self._refuse(413)

    def on_message_complete(self) -> None:
        self._in_message = False
        if self._deaf:
            return
        method = self._parser.get_method().decode("latin-1")
        try:
            url = httptools.parse_url(self._url)
        except httptools.HttpParserInvalidURLError:
            self._refuse(400)
            return
        path, query = ((part or b"").decode("latin-1") for part in (url.path, url.query))
        handler, parameters = self._hub.app.find(method, path)
        self._memorable = self._memorable and self._upload is None
        body = bytes(self._body)
        request = Request(method, path, query, parameters, self._headers, body, self._upload)
        last = not self._parser.should_keep_alive()
        extra = b"Connection: close\r\n" if last else b""
        if not last and self._parser.get_http_version() == "1.0":
            extra = b"Connection: keep-alive\r\n"
        self._memorable = self._memorable and not last
        self._queue.append(Call(handler, request, extra, last))

    def _refuse(self, status: int) -> None:
        """Answer so, after what is still to be answered, and listen to nothing more."""
        self._deaf = True
        self._memorable = False
        request = Request("", "", "", (), {}, b"")
        handler = answering(basic.error(status))
        self._queue.append(Call(handler, request, b"Connection: close\r\n", True))

    # From a Call to its answer on the wire.

    def _drain(self) -> None:
        while self._queue and self.task is None:
            self._begin(self._queue.popleft())

    def _begin(self, call: Call) -> None:
        try:
            answer = call.handler(self._hub.app, call.request)
        except Exception as error:
            answer = _failure(call.request, error)
        if type(answer) is Answer:
            self._send(call, answer)
        elif type(answer) is Stream:
            self.task = asyncio.get_running_loop().create_task(self._pour(call, answer))
        else:
            awaitable = cast(Awaitable[Answer], answer)
            self.task = asyncio.get_running_loop().create_task(self._await(call, awaitable))

    async def _await(self, call: Call, awaitable: Awaitable[Answer]) -> None:
        try:
            answer = await awaitable
        except Exception as error:
            answer = _failure(call.request, error)
        self.task = None
        self._send(call, answer)
        self._drain()

    async def _pour(self, call: Call, stream: Stream) -> None:
        """Send a Stream as fast as the client reads it."""
        self._transport.write(_stream_head(stream, call.extra))
        if call.request.method != "HEAD":
            for chunk in stream.chunks:
                await self._writable.wait()
                self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self._transport.write(b"0\r\n\r\n")
        self.task = None
        if call.last or (self._hub.stopping and not self._queue):
            self._end()
        self._drain()

    def _send(self, call: Call, answer: Answer) -> None:
        extra, last = call.extra, call.last
        if self._hub.stopping and not self._queue:
            extra, last = b"Connection: close\r\n", True
        self._transport.write(_encode(answer, extra, call.request.method != "HEAD"))
        if last:
            self._end()

    def _end(self) -> None:
        self._queue.clear()
        if self._deaf and not self._transport.is_closing():
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)
        else:
            self._transport.close()

    def retire(self) -> None:
        """Close now when idle, else with the answer that is being made."""
        if self.task is None and not self._queue:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is being made or sent."""
        self._transport.abort()


def _failure(request: Request, error: Exception) -> Answer:
    if isinstance(error, Refused):
        return basic.error(error.status)
    return basic.failed(request.method, request.path, error)


_starts: dict[tuple[int, str, str | None], bytes] = {}
"""The constant beginnings of answers, as far as they have occurred."""


def _start(answer: Answer) -> bytes:
    key = (answer.status, answer.content_type, answer.allow)
    start = _starts.get(key)
    if start is None:
        reason = ERROR_PHRASES.get(answer.status) or HTTPStatus(answer.status).phrase
        allow = "" if answer.allow is None else f"Allow: {answer.allow}\r\n"
        start = _starts[key] = (
            f"HTTP/1.1 {answer.status} {reason}\r\nContent-Type: {answer.content_type}\r\n"
            f"{allow}Server: asyncio\r\nContent-Length: "
        ).encode("ascii")
    return start


_date = (0, b"")
"""The second that was last asked for, and its Date."""


def _encode(answer: Answer, extra: bytes, with_body: bool) -> bytes:
    global _date
    second = int(time.time())
    if second != _date[0]:
        _date = (second, formatdate(second, usegmt=True).encode("ascii"))
    body = answer.body
    return b"%b%d\r\nDate: %b\r\n%b\r\n%b" % (
        _start(answer),
        len(body),
        _date[1],
        extra,
        body if with_body else b"",
    )


def _stream_head(stream: Stream, extra: bytes) -> bytes:
    return (
        (
            f"HTTP/1.1 200 OK\r\nContent-Type: {stream.content_type}\r\nServer: asyncio\r\n"
            f"Transfer-Encoding: chunked\r\nDate: {formatdate(usegmt=True)}\r\n"
        ).encode("ascii")
        + extra
        + b"\r\n"
    )
