"""How much a server takes is found exactly, and what ended connections leave open is counted."""

from __future__ import annotations

import pytest

from loopbench.loadtests.regression.layers import limits
from loopbench.servers.lifecycle.process import server_process


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
