"""Instructions are counted for real, and repeat."""

from __future__ import annotations

import pytest

from loopbench.loadtests.observe import raw_request
from loopbench.loadtests.observe.callgrind import counting, missing
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.observe.request_counts import SETTINGS, Sender
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


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_window_holds_nothing_of_what_was_before_it() -> None:
    """Twenty requests cost the same after sixty that were not counted and after twenty that were,
    within a third of one request."""
    with counting("asyncio", SETTINGS, still=True) as counter:
        sender = Sender(counter, CASES["plain"], Patience())
        with raw_request.connect(counter.server.host, counter.server.port) as connection:
            sender.send(connection, 60)
            first, second = (sender.count(connection, 20).instructions for _ in range(2))
    assert first == pytest.approx(second, rel=1 / 60)
