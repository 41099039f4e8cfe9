"""How many WebSocket messages Locust can send: ours against a user built on websocket-client."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from importlib.util import find_spec

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.models import Echo, Load
from loopbench.loadtests.selfcheck.checks.ceiling import expect_no_failures, stock
from loopbench.loadtests.selfcheck.loading import bed, offer
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.servers.contract.websockets import opening

USERS = 32
SIZE_BYTES = 32
TURNS = 5
WARMUP_S = 1.0
MEASURED_S = 3.0
LEAST_A_SECOND = 15_000.0


def check(say: Callable[[str], None]) -> list[Verdict]:
    """Both in turns against the yardstick, TURNS times within a minute."""
    if find_spec("websocket") is None:
        raise HarnessError("install websocket-client, to compare with (`make setup-dev` does)")
    load = Load("main", opening("ws-echo-text", "/ws/echo"), Echo(USERS, SIZE_BYTES))
    rates, ratios = [], []
    with bed("asyncio") as on:
        for turn in range(1, TURNS + 1):
            theirs, their_server = stock(on, "stock_websocket", USERS, WARMUP_S, MEASURED_S)
            ours = offer(on, load, warmup_s=WARMUP_S, measured_s=MEASURED_S)
            expect_no_failures(ours)
            rates.append(ours.throughput_rps)
            ratios.append(ours.throughput_rps / theirs.throughput_rps)
            say(
                f"turn {turn}: websocket-client {theirs.throughput_rps:,.0f}/s "
                f"(its CPU {theirs.cpu:.0%}, server {their_server:.0%}); "
                f"lean user {ours.throughput_rps:,.0f}/s "
                f"(its CPU {ours.generator_cpu:.0%}, server {ours.server_cpu:.0%}); "
                f"ratio {ratios[-1]:.1f}"
            )
    return [
        Verdict(
            f"at least {LEAST_A_SECOND:,.0f} messages to and fro a second",
            f"median {statistics.median(rates):,.0f}, {min(rates):,.0f} to {max(rates):,.0f}; "
            f"{statistics.median(ratios):.1f} times a user on websocket-client, "
            f"{min(ratios):.1f} to {max(ratios):.1f}",
            statistics.median(rates) >= LEAST_A_SECOND,
        )
    ]
