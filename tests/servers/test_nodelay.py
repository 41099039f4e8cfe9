"""Small writes leave at once, on every stack."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from servers.lifecycle import serving
from servers.stacks import STACKS


@pytest.mark.parametrize("name", STACKS)
def test_connections_have_nodelay_set(name: str) -> None:
    """A stack that writes head and body apart would otherwise wait for the client's
    acknowledgement, which the client's kernel holds back for 40 ms."""

    async def options() -> list[int]:
        async with serving(name) as server:
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(b"GET /plain HTTP/1.1\r\nHost: test\r\n\r\n")
            await reader.readuntil(b"Hello, world")
            accepted = [
                transport.get_extra_info("socket")
                for transport in gc.get_objects()
                if type(transport).__name__ == "_SelectorSocketTransport"
                and not transport.is_closing()
                and transport.get_extra_info("sockname")[1] == server.port
            ]
            found = [s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for s in accepted]
            writer.close()
            await writer.wait_closed()
            return found

    found = asyncio.run(options())
    assert found
    assert all(found)
