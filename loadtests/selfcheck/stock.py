"""A stock Locust `FastHttpUser`, for comparison: `python -m loopbench.loadtests.selfcheck.stock`.

Arguments: URL, users, warm-up in seconds, window in seconds, CPU (or -1).
Prints one JSON line at each edge of the window, the second with the count.
"""

from __future__ import annotations

import locust  # isort: skip  (first: importing it patches the standard library)

import json
import logging
import os
import sys
import time
from typing import Any

import gevent
from locust import FastHttpUser, User, constant, task
from locust.env import Environment


class StockUser(FastHttpUser):
    """What Locust's documentation shows, without any waiting."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        self.client.get("/async")


def main(
    url: str, users: int, warmup_s: float, measured_s: float, cpu: int, user: type[User] = StockUser
) -> None:
    """Run the load once."""
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})
    logging.disable(logging.WARNING)
    user.host = url
    environment = Environment(user_classes=[user])
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users)
    gevent.sleep(warmup_s)
    before = _edge(environment)
    print(json.dumps(before), flush=True)
    gevent.sleep(measured_s)
    after = _edge(environment)
    runner.quit()
    window_s = (after["ns"] - before["ns"]) / 1e9
    print(
        json.dumps(
            {
                "throughput_rps": (after["count"] - before["count"]) / window_s,
                "cpu": (after["cpu_ns"] - before["cpu_ns"]) / (after["ns"] - before["ns"]),
                "failures": after["failures"],
                "version": locust.__version__,
            }
        ),
        flush=True,
    )


def _edge(environment: Environment) -> dict[str, Any]:
    total = environment.stats.total
    return {
        "ns": time.monotonic_ns(),
        "cpu_ns": time.process_time_ns(),
        "count": total.num_requests,
        "failures": total.num_failures,
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
