"""Uploads that are cut off, too large, or answered wrongly: real servers, real sockets."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path

import pytest

from loopbench.servers.contract.content import (
    JSON,
    dumps,
)
from loopbench.servers.contract.data_cases import upload_case
from loopbench.servers.contract.http import (
    BINARY_TYPE,
    MULTIPART,
    Case,
    Expected,
    Request,
    filling,
)
from loopbench.servers.lifecycle import in_loop
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import CORE
from tests.servers.choices import stacks
from tests.servers.conftest import Lab
from tests.servers.contract import wire
from tests.servers.processes import BOUND_S, PROC, ask, eventually, needs_proc

UPLOADED_TO = CORE
MIB = 1 << 20
PART = (
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="some.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
)
KINDS = {"raw": (BINARY_TYPE, b""), "multipart": (MULTIPART, PART)}
CLIENTS = 2
SENT_BYTES = 24 * MIB
"""Of each: more than the kernel keeps, so that most of it has been read."""


@pytest.fixture(scope="module", params=stacks(UPLOADED_TO))
def process(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, Path]]:
    """A server in a process of its own, whose temporary files have a folder of their own."""
    folder = tmp_path_factory.mktemp("temporary")
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        with server_process(request.param) as server:
            yield server, folder
    finally:
        del os.environ["TMPDIR"]
        if before is not None:
            os.environ["TMPDIR"] = before


def _temporary(server: ServerProcess, folder: Path) -> set[str]:
    """Files of that folder that the server has open or that lie there, deleted ones included."""
    links = (PROC / str(server.pid) / "fd").iterdir()
    held = {os.readlink(link) for link in links if link.is_symlink()}
    return {one for one in held if one.startswith(str(folder))} | set(map(str, folder.iterdir()))


@needs_proc
@pytest.mark.parametrize(
    ("kind", "rude"), [("raw", True), ("multipart", False)], ids=["raw-reset", "multipart-closed"]
)
def test_an_upload_cut_off_is_given_back(
    process: tuple[ServerProcess, Path], kind: str, rude: bool
) -> None:
    """Two clients leave after 24 MiB of 64: the server holds little of it while it arrives,
    nothing in files, and its descriptors are back when they have left; the next upload is right."""
    server, folder = process
    lasting = _temporary(server, folder)
    ask(server.port, "plain")
    before = server.read()
    headers, head = KINDS[kind]
    body = head + filling(SENT_BYTES)
    request = Request("POST", "/upload", headers, filling_bytes=64 * MIB).encode("x")
    with ExitStack() as connected:
        for _ in range(CLIENTS):
            client = socket.create_connection((server.host, server.port), timeout=BOUND_S)
            connected.enter_context(client)
            client.sendall(request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body)
            if rude:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        during = server.read()
        assert (during.rss_bytes or 0) - (before.rss_bytes or 0) < CLIENTS * SENT_BYTES / 2
        assert _temporary(server, folder) == lasting
    assert eventually(lambda: (server.read().descriptors or 0) <= (before.descriptors or 0))
    assert (server.read().rss_bytes or 0) - (before.rss_bytes or 0) < CLIENTS * SENT_BYTES / 2
    assert _temporary(server, folder) == lasting
    assert _wrong(server, upload_case("next", 3 * MIB, multipart=kind == "multipart")) is None


def _wrong(server: ServerProcess, case: Case) -> str | None:
    with socket.create_connection((server.host, server.port), timeout=BOUND_S) as client:
        client.sendall(case.request.encode("x"))
        with HTTPResponse(client, method="POST") as answer:
            answer.begin()
            return case.expected.check(answer.status, answer.read())


@pytest.mark.parametrize("stack_name", stacks(UPLOADED_TO))
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_upload_over_the_limit_is_a_413(
    lab: Lab, stack_name: str, kind: str, declared: bool
) -> None:
    """Raw or in a form, whether its length is told beforehand or only shows as it comes."""
    headers, head = KINDS[kind]
    tail = b"\r\n--edge--\r\n" if head else b""
    body = head + filling(3000) + tail
    if declared:
        request = Request("POST", "/upload", headers, body)
    else:
        chunked = (("Transfer-Encoding", "chunked"),)
        request = Request("POST", "/upload", (*headers, *chunked))

    async def status() -> int:
        settings = Settings(upload_limit_bytes=2000)
        async with in_loop.serving(stack_name, settings=settings) as server:
            async with wire.connection(server) as client:
                if declared:
                    return (await client.ask(request)).status
                head_only = request.encode("x").replace(b"Content-Length: 0\r\n", b"")
                await client.send(head_only + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
                reply = await client.reply()
                assert reply is not None
                return reply.status

    assert lab.run(status()) == 413


def test_a_wrong_digest_and_a_wrong_length_are_failures() -> None:
    """What an upload's answer says is held to the bytes that were sent."""
    expected = upload_case("one", 1024).expected
    said = {"bytes": 1024, "sha256": "0" * 64}
    assert isinstance(expected, Expected)
    assert expected.content_type == JSON
    assert isinstance(expected.body, bytes)
    assert expected.check(200, dumps(said)) == "body differs from the contract"
    short = expected.body.replace(b'"bytes":1024', b'"bytes":1023')
    assert expected.check(200, short) == "body differs from the contract"
    assert expected.check(200, expected.body) is None
