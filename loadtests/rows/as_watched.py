"""What the probe has seen of a Run in Slices, as if that had been all."""

from __future__ import annotations

from dataclasses import replace

from loopbench.loadtests.messages.reports import Buckets, PhaseReport, Report, Times

_NOTHING: PhaseReport[Buckets] = PhaseReport(Times(), (), 0, 0, 0, 0, 0)


def as_watched(report: Report) -> Report:
    """The report of a Block with the watched Slice as its measured window, for what compares the
    requests that were sent with those that the probe has counted. The histograms are left as they
    are, since nobody asks for them."""
    loads = {
        name: replace(load, warmup=_NOTHING, measured=load.watched or _NOTHING)
        for name, load in report.loads.items()
    }
    return replace(report, loads=loads)
