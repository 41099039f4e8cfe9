"""A Locust user built on websocket-client, for comparison with ours; called as `stock` is."""

from __future__ import annotations

import time
from typing import Any

from locust import User, constant, task
from websocket import create_connection

from loopbench.loadtests.selfcheck.witnesses import stock


class StockSocketUser(User):
    """What most write: send, receive, compare, fire Locust's event."""

    wait_time = constant(0)
    host: str

    def on_start(self) -> None:
        address = self.host.replace("http", "ws", 1)
        self.socket: Any = create_connection(f"{address}/ws/echo", timeout=30)
        self.message = "x" * 32

    def on_stop(self) -> None:
        self.socket.close()

    @task
    def ask(self) -> None:
        began = time.perf_counter()
        self.socket.send(self.message)
        answer = self.socket.recv()
        self.environment.events.request.fire(
            request_type="WS",
            name="echo",
            response_time=(time.perf_counter() - began) * 1000,
            response_length=len(answer),
            exception=None if answer == self.message else ValueError(answer),
            context={},
        )


if __name__ == "__main__":
    stock.main(StockSocketUser)
