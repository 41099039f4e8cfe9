"""What one load did: the Records of the lead-in and of the measured window.

A request belongs to the phase in which it began (closed loop) or was due
(open loop), whenever it ends. In the hot path a time is one integer appended
to an array. The arrays go into histograms when the load is over, or when they
hold FLUSH_AT values, so that memory stays bounded; doing it every second would
stop the generator for some milliseconds each time.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

from loadtests.histogram import Histogram

FLUSH_AT = 2_000_000


def _times() -> array[int]:
    return array("q")


@dataclass(slots=True)
class Failures:
    """Failed requests by reason, with one example each."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, example: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.examples.setdefault(reason, example)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(slots=True)
class Series:
    """The Records of one phase of one load. Arrays hold microseconds.

    service: right answers, send to last byte. response: open loop only, where
    it differs; in a closed loop the two are the same by definition.
    send_lag: open loop only, how late the generator itself sent.
    gap_ns: closed loop, summed time between an answer's arrival in the kernel
    and the same user's next send: the generator's share of each cycle.
    """

    service: array[int] = field(default_factory=_times)
    response: array[int] = field(default_factory=_times)
    failed: array[int] = field(default_factory=_times)
    send_lag: array[int] = field(default_factory=_times)
    failures: Failures = field(default_factory=Failures)
    gap_ns: int = 0
    gaps: int = 0
    flushed: int = 0
    histograms: dict[str, Histogram] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        """Right answers so far."""
        return self.flushed + len(self.service)

    def fail(self, reason: str, took_ns: int, example: str) -> None:
        """Record a failed request: `took_ns` from its send (or due time) to its failure."""
        self.failures.add(reason, example)
        self.failed.append(took_ns // 1000)

    def flush_if_large(self) -> None:
        """Bound the memory of a long run."""
        if len(self.service) >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Move the arrays into the histograms."""
        self.flushed += len(self.service)
        for quantity in ("service", "response", "failed", "send_lag"):
            values: array[int] = getattr(self, quantity)
            if values:
                self.histograms.setdefault(quantity, Histogram()).record(values)
                setattr(self, quantity, _times())

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON types: histograms as lists of [upper_us, count]."""
        self.flush()
        return {
            "histograms": {
                quantity: list(histogram.buckets().items())
                for quantity, histogram in self.histograms.items()
            },
            "failures": [
                [reason, count, self.failures.examples[reason]]
                for reason, count in self.failures.counts.items()
            ],
            "gap_ns": self.gap_ns,
            "gaps": self.gaps,
        }
