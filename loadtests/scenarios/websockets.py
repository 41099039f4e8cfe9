"""The scenarios of the WebSockets and of the broadcast."""

from __future__ import annotations

from typing import Any

from loopbench.loadtests.scenarios.model import Model
from loopbench.loadtests.scenarios.models import Broadcast, Echo, Load, Pushed, Scenario
from loopbench.results.schema import Family
from loopbench.servers.contract.websockets import opening

ECHO_USERS = (1, 32, 500)
MESSAGE_BYTES = 32
RECEIVERS = {1: 100.0, 100: 50.0, 1000: 10.0}
"""How many, and the messages a second that they are sent: some ten thousand deliveries at most."""

SLOW_RATE, SLOW_BYTES, BESIDE = 200.0, 16_384, 49


_REQUESTS: dict[type[Model], tuple[str, str]] = {
    Echo: ("ws-echo-text", "/ws/echo"),
    Pushed: ("ws-push", "/ws?rate=100&stamped=1"),
    Broadcast: ("ws-feed", "/ws/feed"),
}
"""By load model: the exchange that it is, and the target of its upgrade."""


def sockets() -> tuple[Scenario, ...]:
    """In the order of the list."""
    return (
        *(
            _scenario(
                f"ws-echo-{users}",
                Echo(users, MESSAGE_BYTES),
                f"messages to and fro on {users} WebSockets, and what they hold of memory",
                after_s=1.0 if users >= 100 else 0.0,
                yardstick=True,
            )
            for users in ECHO_USERS
        ),
        _scenario(
            "ws-connect",
            Echo(32, MESSAGE_BYTES, new_connections=True),
            "how many WebSockets are opened a second, each for one message",
            yardstick=True,
        ),
        _scenario(
            "ws-push",
            Pushed(100, 100),
            "how late messages are that the server itself is to send 100 times a second to 100",
        ),
        *(
            _scenario(
                f"feed-{receivers}",
                Broadcast(receivers, rate, MESSAGE_BYTES),
                f"how long a published message takes to each of {receivers} receivers",
                after_s=1.0 if receivers >= 1000 else 0.0,
            )
            for receivers, rate in RECEIVERS.items()
        ),
        _scenario(
            "feed-even",
            Broadcast(BESIDE, SLOW_RATE, SLOW_BYTES),
            "the same of 16 KiB to 49 receivers, for comparison with feed-slow",
            after_s=1.0,
        ),
        _scenario(
            "feed-slow",
            Broadcast(BESIDE, SLOW_RATE, SLOW_BYTES, slow=1),
            "the same beside one that reads nothing, which the server gives up after a while",
            after_s=1.0,
            baseline="feed-even",
        ),
    )


def _scenario(name: str, model: Model, asks: str, **facts: Any) -> Scenario:
    load = Load("main", opening(*_REQUESTS[type(model)]), model)
    family = Family.BROADCAST if model.counts_deliveries else Family.WEBSOCKETS
    return Scenario(name, asks, (load,), family=family, **{"yardstick": False, **facts})
