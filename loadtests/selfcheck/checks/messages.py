"""How many WebSocket messages Locust can send: ours against a user built on websocket-client."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from importlib.util import find_spec

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.models import Echo, Load
from loopbench.loadtests.selfcheck.checks.ceiling import USERS, in_turns
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.servers.contract.websockets import opening

SIZE_BYTES = 32
LEAST_A_SECOND = 15_000.0


def check(say: Callable[[str], None]) -> list[Verdict]:
    """Both in turns against the yardstick; takes a minute."""
    if find_spec("websocket") is None:
        raise HarnessError("install websocket-client, to compare with (`make setup-dev` does)")
    load = Load("main", opening("ws-echo-text", "/ws/echo"), Echo(USERS, SIZE_BYTES))
    turns = in_turns("asyncio", load, "stock_websocket", "websocket-client", say)
    rates, ratios = [turn.lean.throughput_rps for turn in turns], [turn.ratio for turn in turns]
    return [
        Verdict(
            f"at least {LEAST_A_SECOND:,.0f} messages to and fro a second",
            f"median {statistics.median(rates):,.0f}, {min(rates):,.0f} to {max(rates):,.0f}; "
            f"{statistics.median(ratios):.1f} times a user on websocket-client, "
            f"{min(ratios):.1f} to {max(ratios):.1f}",
            statistics.median(rates) >= LEAST_A_SECOND,
        )
    ]
