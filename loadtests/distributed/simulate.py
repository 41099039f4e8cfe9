"""Reports of many workers that are not there, through Locust's real events, to time the merge.

`python -m loopbench.loadtests.distributed.simulate 1000` prints what it took, as JSON. Each report
is sent as bytes are: serialised by Locust's protocol, read back, and handled by Locust's master.
"""

from __future__ import annotations

import locust  # noqa: F401 isort: skip  (first: importing it patches the standard library)

import json
import random
import sys
import time
from typing import Any

from locust.env import Environment
from locust.rpc import protocol

from loopbench.loadtests.distributed import messages
from loopbench.loadtests.distributed.master.merge import Merged
from loopbench.loadtests.rows.histogram import Histogram

REQUESTS = 20_000
"""Of each simulated worker: about what one core of Locust does in a second."""


def report(seed: int, requests: int) -> tuple[dict[str, Any], Histogram]:
    """A worker's packed report of one load, and its service times as they went in."""
    drawn = random.Random(seed)
    service = Histogram()
    service.record(int(drawn.lognormvariate(7.5, 0.8)) for _ in range(requests))
    lag = Histogram()
    lag.record(int(drawn.expovariate(1 / 200)) for _ in range(100))
    pairs = list(service.buckets().items())
    phase = {
        "histograms": {"service": pairs},
        "failures": [],
        "gap_ns": requests,
        "gaps": requests,
        "sent_sum_ns": requests,
        "service_sum_ns": requests,
    }
    part = {"from_s": 0.0, "to_s": 1.0, "completed": requests, "failures": 0, "inside": pairs}
    load = {
        "users": 32,
        "timeline": [part],
        "completed": requests,
        "warmup": {**phase, "histograms": {}},
        "measured": phase,
    }
    whole = {
        "warmup_s": 0.5,
        "start_realtime_ns": 0,
        "measured_s": 1.0,
        "cpu_s": 0.9,
        "clock_step_ms": 0.0,
        "clock": "kernel",
        "generator_lag": list(lag.buckets().items()),
        "loads": {"main": load},
    }
    return messages.pack_report(whole), service


def simulate(workers: int, requests: int = REQUESTS) -> dict[str, Any]:
    """Merge the reports of so many workers. Times in seconds.

    arriving_s: reading the messages and merging, in Locust's handler. merging_s: the part
    of it in our own listener. equal: whether the sum is that of all values, bucket for bucket.
    """
    environment = Environment(user_classes=[], catch_exceptions=False)
    Envelope: Any = protocol.Message  # which has no types
    runner: Any = environment.create_master_runner("127.0.0.1", 0)
    expected, arriving = Histogram(), []
    distinct = [report(seed, requests) for seed in range(min(workers, 25))]
    for number in range(workers):
        packed, service = distinct[number % len(distinct)]
        expected.add(service.buckets())
        attached = {"number": 1, "report": packed}
        data = {
            "stats": [],
            "stats_total": environment.stats.total.serialize(),
            "errors": {},
            "user_classes_count": {},
            "user_count": 32,
            messages.ATTACHMENT: attached,
        }
        arriving.append(Envelope("stats", data, f"worker-{number}").serialize())
    merged, own_s = Merged(["main"], 0), 0.0

    def listen(client_id: str, data: dict[str, Any], **_: Any) -> None:
        nonlocal own_s
        began = time.perf_counter()
        merged.add(data[messages.ATTACHMENT]["report"], client_id, 0)
        own_s += time.perf_counter() - began

    events: Any = environment.events
    events.worker_report.add_listener(listen)
    began = time.perf_counter()
    for message in arriving:
        envelope = Envelope.unserialize(message)
        runner.handle_message(envelope.node_id, envelope)
    arriving_s = time.perf_counter() - began
    began = time.perf_counter()
    report_of_all = merged.to_json()
    finishing_s = time.perf_counter() - began
    pairs = report_of_all["loads"]["main"]["measured"]["histograms"]["service"]
    runner.greenlet.kill()
    return {
        "workers": merged.count,
        "requests": sum(count for _, count in pairs),
        "buckets": len(pairs),
        "report_bytes": sum(map(len, arriving)) // workers,
        "arriving_s": arriving_s,
        "merging_s": own_s,
        "finishing_s": finishing_s,
        "equal": dict(pairs) == expected.buckets(),
    }


if __name__ == "__main__":
    print(json.dumps(simulate(*map(int, sys.argv[1:3]))))
