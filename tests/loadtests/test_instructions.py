"""Instructions are counted for real, and repeat."""

from __future__ import annotations

import pytest

from loopbench.loadtests.observe.callgrind import counting, missing
from loopbench.servers.contract.cases import CASES
from loopbench.servers.settings import Settings


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_counts_repeat_and_tell_a_cheap_route_from_a_dear_one() -> None:
    """The same route costs the same within a few per cent, also over few requests; a larger
    answer to parse and write costs more."""
    with counting("asyncio", Settings()) as counter:
        first = counter.per_request(CASES["plain"], 200)
        second = counter.per_request(CASES["plain"], 200)
        form = counter.per_request(CASES["form"], 200)
    assert second == pytest.approx(first, rel=0.05)
    assert form > 2 * first > 0
