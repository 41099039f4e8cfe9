"""Lead-ins and counted windows of a sliced Run as one: for what cannot be told apart."""

from __future__ import annotations

from dataclasses import replace

from loopbench.loadtests.messages.reports import Buckets, PhaseReport, Report, Times

_NOTHING: PhaseReport[Buckets] = PhaseReport(Times(), (), 0, 0, 0, 0, 0)


def pooled(report: Report) -> Report:
    """The report as if the lead-ins had been measured too.

    In a sliced Run they lie between the counted windows, so that the server cannot tell their
    requests from the others by number. Where a mean request is taken apart, all of them are; the
    histograms are not added up, since nobody asks for them.
    """
    loads = {
        name: replace(load, warmup=_NOTHING, measured=_sum(load.warmup, load.measured))
        for name, load in report.loads.items()
    }
    return replace(report, loads=loads)


def _sum(one: PhaseReport[Buckets], other: PhaseReport[Buckets]) -> PhaseReport[Buckets]:
    return PhaseReport(
        times=Times(),
        failures=one.failures + other.failures,
        answers=one.answers + other.answers,
        gap_ns=one.gap_ns + other.gap_ns,
        gaps=one.gaps + other.gaps,
        sent_sum_ns=one.sent_sum_ns + other.sent_sum_ns,
        service_sum_ns=one.service_sum_ns + other.service_sum_ns,
    )
