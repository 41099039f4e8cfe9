"""Requests beyond a limit or out of shape, which the contract's Cases leave out."""

from __future__ import annotations

import pytest

from loopbench.servers.contract.limits import CHUNK_BYTES_LIMIT, CHUNKS_LIMIT
from loopbench.servers.lifecycle import in_loop
from loopbench.servers.settings import Settings
from tests.servers.choices import stacks
from tests.servers.conftest import Lab
from tests.servers.contract import wire

WRITTEN_HERE = ("asyncio", "aiohttp", "quart-hypercorn", "asgi-uvicorn")
"""One for each application that reads requests in a way of its own on a loop."""

SETTINGS = Settings(upload_limit_bytes=1000, body_limit_bytes=100)


def get(target: str, *lines: str, version: str = "1.1") -> bytes:
    """A GET with these headers, and its own Host unless one is among them."""
    host = () if any(line.startswith("Host:") for line in lines) else ("Host: localhost",)
    return "\r\n".join((f"GET {target} HTTP/{version}", *host, *lines, "", "")).encode()


def post(target: str, of_type: str, body: bytes) -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {of_type}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(target: str, of_type: str, body: bytes) -> bytes:
    """The same without a length that could be refused before the body."""
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {of_type}\r\n"
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + sent


FORM = "application/x-www-form-urlencoded"
ODD = {
    "a stream beyond the limit": (
        get(f"/stream?chunks={CHUNKS_LIMIT}&size={CHUNK_BYTES_LIMIT}"),
        {400},
    ),
    "a form that is no UTF-8": (post("/form", FORM, b"a=\xff\xfe"), {400}),
    "a multipart form without its boundary": (post("/form", "multipart/form-data", b"x"), {400}),
    # Not every application reads uploads that are forms.
    "such an upload": (post("/upload", "multipart/form-data", b"x"), {400, 501}),
    "a long upload in chunks": (chunked("/upload", "application/octet-stream", b"x" * 2000), {413}),
    "a long body in chunks": (chunked("/json", "application/json", b"x" * 2000), {413}),
    "two hosts": (get("/plain", "Host: one", "Host: two"), {400}),
    "HTTP/1.0": (get("/plain", "Connection: keep-alive", version="1.0"), {200}),
}
"""What is sent, and the statuses that answer it."""


@pytest.mark.parametrize("stack_name", stacks(WRITTEN_HERE))
def test_odd_requests_have_their_status(lab: Lab, stack_name: str) -> None:
    """None is a fault of the server, and it serves on."""

    async def statuses() -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        async with in_loop.serving(stack_name, settings=SETTINGS) as server:
            for name, (sent, _) in ODD.items():
                async with wire.connection(server) as client:
                    await client.send(sent)
                    reply = await client.reply()
                    found[name] = None if reply is None else reply.status
            assert (await wire.get(server, "/plain")).status == 200
        return found

    found = lab.run(statuses())
    assert {name: status for name, status in found.items() if status not in ODD[name][1]} == {}
