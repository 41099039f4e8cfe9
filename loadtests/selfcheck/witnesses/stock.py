"""A stock Locust `FastHttpUser`, for comparison.

Called as `python -m loopbench.loadtests.selfcheck.witnesses.stock`, with URL, users, warm-up in
seconds, window in seconds, CPU (or -1). Prints one line as the window opens, and a StockReport as
JSON as it closes.
"""

from __future__ import annotations

import locust  # isort: skip  (first: importing it patches the standard library)

import json
import logging
import os
import sys
import time
from dataclasses import dataclass

import gevent
from locust import FastHttpUser, User, constant, task
from locust.env import Environment

from loopbench.loadtests.selfcheck.witnesses.stock_report import StockReport
from loopbench.servers.supervision.messages import to_json


class StockUser(FastHttpUser):
    """What Locust's documentation shows, without any waiting."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        self.client.get("/async")


def main(user: type[User] = StockUser) -> None:
    """Run the load once."""
    url, users, cpu = sys.argv[1], int(sys.argv[2]), int(sys.argv[5])
    warmup_s, measured_s = map(float, sys.argv[3:5])
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})
    logging.disable(logging.WARNING)
    user.host = url
    environment = Environment(user_classes=[user])
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users)
    gevent.sleep(warmup_s)
    before = _edge(environment)
    print("opened", flush=True)
    gevent.sleep(measured_s)
    after = _edge(environment)
    runner.quit()
    window_ns = after.monotonic_ns - before.monotonic_ns
    report = StockReport(
        throughput_rps=(after.requests - before.requests) / window_ns * 1e9,
        cpu=(after.cpu_ns - before.cpu_ns) / window_ns,
        failures=after.failures,
        version=locust.__version__,
    )
    print(json.dumps(to_json(report)), flush=True)


@dataclass(frozen=True, slots=True)
class _Edge:
    monotonic_ns: int
    cpu_ns: int
    requests: int
    failures: int


def _edge(environment: Environment) -> _Edge:
    total = environment.stats.total
    return _Edge(
        time.monotonic_ns(), time.process_time_ns(), total.num_requests, total.num_failures
    )


if __name__ == "__main__":
    main()
