"""Lead-ins and counted windows of a sliced Run as one: for what cannot be told apart."""

from __future__ import annotations

from typing import Any


def pooled(report: dict[str, Any]) -> dict[str, Any]:
    """The report as if the lead-ins had been measured too.

    In a sliced Run they lie between the counted windows, so that the server cannot tell their
    requests from the others by number. Where a mean request is taken apart, all of them are.
    """
    loads = {}
    for name, load in report["loads"].items():
        warmup, measured = load["warmup"], load["measured"]
        service: dict[int, int] = {}
        for series in (warmup, measured):
            for upper_us, count in series["histograms"].get("service", []):
                service[upper_us] = service.get(upper_us, 0) + count
        sums = {
            key: warmup[key] + measured[key]
            for key in ("failures", "sent_sum_ns", "service_sum_ns", "gap_ns", "gaps")
        }
        both = {**sums, "histograms": {"service": sorted(service.items())}}
        nothing = {**dict.fromkeys(sums, 0), "failures": [], "histograms": {}}
        loads[name] = {**load, "warmup": nothing, "measured": both}
    return {**report, "loads": loads}
