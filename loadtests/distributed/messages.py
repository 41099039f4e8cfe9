"""What travels between master and workers beside Locust's own: names and packed reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopbench.loadtests.distributed import packed_histogram

Report = dict[str, Any]

HELLO = "loopbench.hello"
PING = "loopbench.ping"
PONG = "loopbench.pong"
LOAD = "loopbench.load"
ARRIVED = "loopbench.arrived"
START = "loopbench.start"
ABORT = "loopbench.abort"
RELEASE = "loopbench.release"
RECEIVED = "loopbench.received"
FAILED = "loopbench.failed"
REFUSED = "loopbench.refused"
"""Types of Locust messages."""

ATTACHMENT = "loopbench"
"""The key of what a worker adds to each of Locust's own reports to the master."""

LOST_AFTER_S = 15.0
"""A worker of which no message came for so long is lost; Locust's workers report every second."""

MASTER_LOST_AFTER_S = 20.0
"""A worker to which no message of its master came for so long ends; `--patience` changes that."""


def pack_report(report: Report) -> Report:
    """A Session's report with its histograms packed; the other values are small."""
    return _with_histograms(report, packed_histogram.pack)


def _with_histograms(report: Report, change: Callable[[Any], Any]) -> Report:
    loads = {}
    for name, load in report["loads"].items():
        phases = {
            phase: {
                **load[phase],
                "answers": sum(count for _, count in load[phase]["histograms"].get("service", ())),
                "histograms": {
                    quantity: change(pairs) for quantity, pairs in load[phase]["histograms"].items()
                },
            }
            for phase in ("warmup", "measured")
        }
        timeline = [{**part, "inside": change(part["inside"])} for part in load["timeline"]]
        loads[name] = {**load, **phases, "timeline": timeline}
    return {**report, "generator_lag": change(report["generator_lag"]), "loads": loads}
