"""A client that sends exactly the bytes it is given and shows exactly what came back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

from loopbench.servers.contract.http import Request
from loopbench.servers.lifecycle.in_loop import Server

BOUND_S = 60.0
"""When a test gives up on an answer. Nothing is measured with it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; header names in lower case, in their order; `head` as it came."""

    head: bytes
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The one value of this header, or None. Raises ValueError when it is repeated."""
        values = [value for key, value in self.headers if key == name]
        if len(values) > 1:
            raise ValueError(f"{name} appears {len(values)} times: {values}")
        return values[0] if values else None


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send, or as much as the server takes before it closes."""
        with suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    def send_eof(self) -> None:
        """Close the sending side only."""
        self._writer.write_eof()

    async def reply(self, *, to_head: bool = False) -> Reply | None:
        """The next final answer, or None where the connection ends without one."""
        async with asyncio.timeout(BOUND_S):
            while True:
                try:
                    head = await self._reader.readuntil(b"\r\n\r\n")
                except (asyncio.IncompleteReadError, ConnectionError):
                    return None
                reply = parse(head)
                if reply.status >= 200:
                    break
            body = b"" if to_head else await body_of(reply, self._reader)
            return replace(reply, body=body)

    async def interim(self) -> int:
        """The status of the next answer, which has no body, such as 100."""
        async with asyncio.timeout(BOUND_S):
            return parse(await self._reader.readuntil(b"\r\n\r\n")).status

    async def closed(self) -> bool:
        """Whether the server ends the connection, waited for until BOUND_S is over.

        Raises AssertionError when it sends anything more.
        """
        try:
            async with asyncio.timeout(BOUND_S):
                rest = await self._reader.read(1)
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        assert rest == b"", "the server sent something more"
        return True

    async def ask(self, request: Request) -> Reply:
        """Send a request and return its answer, of which there must be one."""
        await self.send(request.encode("localhost"))
        reply = await self.reply(to_head=request.method == "HEAD")
        assert reply is not None, "the connection ended without an answer"
        return reply


@asynccontextmanager
async def connection(server: Server, *, receive_bytes: int = 0) -> AsyncIterator[Client]:
    """A connection to `server`, ended with the block. receive_bytes: the socket's receive buffer,
    where not the usual, which grows by some MiB."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    if receive_bytes:
        end = writer.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def ask(server: Server, request: Request) -> Reply:
    """One request over a connection of its own."""
    async with connection(server) as client:
        return await client.ask(request)


async def get(server: Server, target: str) -> Reply:
    """`GET target` over a connection of its own."""
    return await ask(server, Request("GET", target))


async def body_of(reply: Reply, reader: asyncio.StreamReader) -> bytes:
    """The body after a head: of the length that it gives, in chunks, to the end of the connection
    where it gives neither (RFC 9112, section 6.3), or none."""
    if reply.status < 200 or reply.status in (204, 304):
        return b""
    body = b""
    if reply.header("transfer-encoding") != "chunked":
        if (length := reply.header("content-length")) is not None:
            return await reader.readexactly(int(length))
        with suppress(ConnectionError):
            while piece := await reader.read(65536):
                body += piece
        return body
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


def parse(head: bytes) -> Reply:
    """The head of an answer, without its body."""
    status_line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    headers = []
    for line in lines:
        name, _, value = line.partition(":")
        headers.append((name.lower(), value.strip()))
    return Reply(head, int(status_line.split(" ")[1]), tuple(headers), b"")
