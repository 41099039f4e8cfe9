"""A session's report with its histograms packed, as it travels from a worker to its master."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from loopbench.loadtests.distributed.packed_histogram import pack
from loopbench.loadtests.messages.reports import (
    Buckets,
    LoadReport,
    Packed,
    PackedReport,
    PhaseReport,
    Report,
    SessionReport,
    Stretch,
    Times,
)


def pack_report(report: Report) -> PackedReport:
    """The same report; its other values are small."""
    loads = {name: _load(load) for name, load in report.loads.items()}
    return SessionReport(
        **{**_values(report), "generator_lag": pack(report.generator_lag), "loads": loads}
    )


def _load(load: LoadReport[Buckets]) -> LoadReport[Packed]:
    changed = {
        "timeline": tuple(_stretch(one) for one in load.timeline),
        "warmup": _phase(load.warmup),
        "measured": _phase(load.measured),
    }
    return LoadReport(**{**_values(load), **changed})


def _stretch(stretch: Stretch[Buckets]) -> Stretch[Packed]:
    return Stretch(**{**_values(stretch), "inside": pack(stretch.inside or ())})


def _phase(phase: PhaseReport[Buckets]) -> PhaseReport[Packed]:
    times = {
        name: None if buckets is None else pack(buckets)
        for name, buckets in _values(phase.times).items()
    }
    return PhaseReport(**{**_values(phase), "times": Times(**times)})


def _values(message: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, as they are: `asdict` would copy all that is inside."""
    return {one.name: getattr(message, one.name) for one in fields(message)}
