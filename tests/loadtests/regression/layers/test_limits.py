"""How much a server takes is found exactly, and what ended connections leave open is counted."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack

import pytest

from loopbench.loadtests.observe import raw_request
from loopbench.loadtests.regression.layers import limits
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.settings import Settings


@pytest.mark.parametrize("limit", [0, 1, 7, 63, 64])
def test_the_limit_is_found_by_halving(limit: int) -> None:
    """The largest size that is taken; where all are, that it is not below the bound."""
    asked: list[int] = []

    def taken(size: int) -> bool:
        asked.append(size)
        return size <= limit

    assert limits.largest(taken, 64) == ("64 or more" if limit == 64 else str(limit))
    assert len(asked) <= 8


def test_a_server_takes_what_its_documentation_says() -> None:
    """aiohttp refuses a header field of more than 8,190 bytes (`max_field_size`), and gives back
    the descriptors of connections, however these ended."""
    make, most = limits.SIZES["bytes of a header field"]
    with server_process("aiohttp") as server:
        assert limits.largest(lambda size: limits._taken(server, make, size), most) == "8190"
        assert [limits.given_back(server, hard) for hard in limits.ENDINGS.values()] == [
            "given back",
            "given back",
        ]


def test_what_is_given_back_of_earlier_connections_hides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hypercorn keeps a connection that its client has ended until its time limit; those of before
    may reach theirs while it is looked at."""
    monkeypatch.setattr(limits, "_CLOSED_BOUND_S", 0.5)
    with (
        server_process("quart-hypercorn", settings=Settings(keep_alive_s=3600)) as server,
        ExitStack() as earlier,
    ):
        for _ in range(2 * limits._CONNECTIONS):
            connection = earlier.enter_context(raw_request.connect(server.host, server.port))
            raw_request.exchange(connection, limits._PLAIN, f"{server.host}:{server.port}")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, limits.LINGER_NOT)
        later = threading.Timer(0.2, earlier.close)
        later.start()
        found = limits.given_back(server, hard=False)
        later.join()
    assert found == "kept for 0.5 s"
