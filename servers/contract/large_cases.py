"""LARGE: requests and answers too large for CASES, which every process holds in memory.

Only the harness and the tests import this. What a Case promises here it promises as the
small Cases of the same route do.
"""

from __future__ import annotations

from functools import cache

from loopbench.servers.contract.data_cases import (
    FETCHES,
    fetch_case,
    items_case,
    stream_case,
    upload_case,
)
from loopbench.servers.contract.http import Case

MIB = 1 << 20

DIGESTS = {
    MIB: "c26900899f78d9afd75dff460366c3ed9e32773a1d839eedc8e874afa7fbfc8f",
    64 * MIB: "d55ef21641e051735f4d10d42e9759743652a80feb13b3eb39d9aceaaed5365f",
}
"""SHA-256 of `exchange.filling` by its size: 64 MiB take too long to be worked out each time."""

ITEMS_1M = 15_600
"""Items whose JSON is about a MiB; that of 16 is a KiB, and that of 1,000 about 64."""


@cache
def large() -> dict[str, Case]:
    """The Cases by name; made when they are first asked for."""
    cases = (
        items_case("items-1m", ITEMS_1M),
        stream_case("stream-100x1024", 100, 1024),
        stream_case("stream-128x65536", 128, 65_536),
        upload_case("upload-1m", MIB, DIGESTS[MIB]),
        upload_case("upload-multipart-1m", MIB, DIGESTS[MIB], multipart=True),
        upload_case("upload-64m", 64 * MIB, DIGESTS[64 * MIB]),
        *(fetch_case(how, 50) for how in FETCHES),
    )
    return {case.name: case for case in cases}
