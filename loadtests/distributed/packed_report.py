"""A session's report with its histograms packed, as it travels from a worker to its master."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from loopbench.loadtests.distributed.packed_histogram import pack
from loopbench.loadtests.messages.reports import (
    LoadReport,
    Packed,
    PackedReport,
    PhaseReport,
    SessionReport,
    Times,
)


def pack_report(report: SessionReport[Any]) -> PackedReport:
    """The same report; its other values are small."""
    return replace(
        report,
        generator_lag=pack(report.generator_lag),
        loads={name: _load(load) for name, load in report.loads.items()},
    )


def _load(load: LoadReport[Any]) -> LoadReport[Packed]:
    return replace(
        load,
        timeline=tuple(
            replace(stretch, inside=pack(stretch.inside or ())) for stretch in load.timeline
        ),
        warmup=_phase(load.warmup),
        measured=_phase(load.measured),
    )


def _phase(phase: PhaseReport[Any]) -> PhaseReport[Packed]:
    recorded = (
        (quantity.name, getattr(phase.times, quantity.name)) for quantity in fields(phase.times)
    )
    times = {name: None if buckets is None else pack(buckets) for name, buckets in recorded}
    return replace(phase, times=Times(**times))
