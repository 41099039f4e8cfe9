"""Reports of many workers that are not there, through Locust's real events, to time the merge.

`python -m tests.loadtests.distributed.simulate 1000` prints what it took, as JSON. Each report
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

from loopbench.loadtests.distributed.master.merge import Merged
from loopbench.loadtests.distributed.packed_report import pack_report
from loopbench.loadtests.messages.reports import (
    Buckets,
    LoadReport,
    PackedReport,
    PhaseReport,
    SessionReport,
    Stretch,
    Times,
)
from loopbench.loadtests.messages.workers import ATTACHMENT, Progress
from loopbench.loadtests.rows.histogram import Histogram
from loopbench.servers.supervision.messages import Json, from_json, to_json

REQUESTS = 20_000
"""Of each simulated worker: about what one core of Locust does in a second."""


def report(seed: int, requests: int) -> tuple[PackedReport, Histogram]:
    """A worker's packed report of one load, and its service times as they went in."""
    drawn = random.Random(seed)
    service = Histogram()
    service.record(int(drawn.lognormvariate(7.5, 0.8)) for _ in range(requests))
    lag = Histogram()
    lag.record(int(drawn.expovariate(1 / 200)) for _ in range(100))
    times = Times(service_time=service.pairs())
    phase = PhaseReport(times, (), requests, requests, requests, requests, requests)
    nothing: PhaseReport[Buckets] = PhaseReport(Times(), (), 0, 0, 0, 0, 0)
    second = Stretch(0.0, 1.0, requests, 0, None, None, service.pairs())
    whole = SessionReport(
        warmup_s=0.5,
        start_realtime_ns=0,
        late_ms=0.0,
        opened_realtime_ns=0,
        closed_realtime_ns=0,
        measured_s=1.0,
        cpu_s=0.9,
        clock_step_ms=0.0,
        clock="kernel",
        generator_lag=lag.pairs(),
        loads={"main": LoadReport(32, (second,), requests, nothing, phase, {})},
    )
    return pack_report(whole), service


def simulate(workers: int, requests: int = REQUESTS) -> Json:
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
        attached = to_json(Progress(1, requests, 0, packed))
        data = {
            "stats": [],
            "stats_total": environment.stats.total.serialize(),
            "errors": {},
            "user_classes_count": {},
            "user_count": 32,
            ATTACHMENT: attached,
        }
        arriving.append(Envelope("stats", data, f"worker-{number}").serialize())
    merged, own_s = Merged(["main"], 0), 0.0

    def listen(client_id: str, data: Json, **_: Any) -> None:
        nonlocal own_s
        began = time.perf_counter()
        progress = from_json(Progress, data[ATTACHMENT])
        assert progress.report is not None
        merged.add(progress.report, client_id, 0)
        own_s += time.perf_counter() - began

    events: Any = environment.events
    events.worker_report.add_listener(listen)
    began = time.perf_counter()
    for message in arriving:
        envelope = Envelope.unserialize(message)
        runner.handle_message(envelope.node_id, envelope)
    arriving_s = time.perf_counter() - began
    began = time.perf_counter()
    report_of_all = merged.report(0.0, None)
    finishing_s = time.perf_counter() - began
    pairs = report_of_all.loads["main"].measured.times.service_time or ()
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
