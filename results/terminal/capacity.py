"""Capacities in words, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loopbench.results.schema import how_to_bench
from loopbench.results.stats import formatting
from loopbench.results.stats.capacity import ASSUMPTIONS, Capacity, Point, checks


def lines(
    capacities: Sequence[Capacity], wanted_rps: float, slo_ms: float | None, *, own: bool = False
) -> Iterator[str]:
    """What each stack needs, what that rests on, how good it is here, and what it assumes. own:
    whether of a person's own application, to which no idle connections are offered."""
    bound = "" if slo_ms is None else f" with a p99 response time of at most {slo_ms:g} ms"
    yield f"{formatting.rate(wanted_rps)} requests/s{bound}:"
    yield ""
    width = max(len(capacity.stack) for capacity in capacities)
    for capacity in capacities:
        yield f"  {capacity.stack:{width}}  {_needs(capacity)}"
        for more in _basis(capacity, own):
            yield f"  {'':{width}}  {more}"
    yield ""
    yield from _checked(capacities)
    yield "This assumes that"
    for assumption in ASSUMPTIONS:
        yield f"  - {assumption}"


def _needs(capacity: Capacity) -> str:
    rate, count = capacity.per_process_rps, capacity.processes
    if rate is None or count is None or capacity.best is None:
        lowest = capacity.points[0]
        rate_rps = f"{formatting.rate(lowest.rate_rps)}/s"
        if lowest.p99_ms is None:
            return f"no answer: of {rate_rps}, the lowest, nothing is known ({lowest.why_not})"
        return f"no answer: it did not hold even {rate_rps} ({lowest.why_not})"
    plural = "es" if count != 1 else ""
    needed = f"{count:,} process{plural}"
    each = f"{formatting.digits(rate)} requests/s each"
    if capacity.beyond is None:
        return f"{needed} or fewer, at least {each}: it held every rate that was offered"
    if capacity.beyond.p99_ms is None:
        beyond = f"{formatting.rate(capacity.beyond.rate_rps)}/s"
        return f"{needed} or fewer, at least {each}: of {beyond} nothing is known"
    return f"{needed}, {each}"


def _basis(capacity: Capacity, own: bool) -> Iterator[str]:
    if capacity.best is not None:
        yield f"held {_point(capacity.best)}"
    if capacity.best is not None and capacity.beyond is not None:
        what = "nothing known of" if capacity.beyond.p99_ms is None else "did not hold"
        yield f"{what} {_point(capacity.beyond)}: {capacity.beyond.why_not}"
    if capacity.process_bytes is not None and capacity.connection_bytes is not None:
        process = formatting.digits(capacity.process_bytes * 1e-6)
        each = formatting.digits(capacity.connection_bytes * 1e-3)
        yield f"memory: {process} MB a process, {each} kB an idle connection"
    elif not own:
        yield f"memory: not measured; {how_to_bench(scenarios='idle-1000')} does"


def _point(point: Point) -> str:
    """The rate, and what was read of it."""
    by = "" if point.processes == 1 else f" by {point.processes} processes together"
    share, cpu_us, p99_ms = point.utilisation, point.cpu_us, point.p99_ms
    read = (
        "" if share is None else f"at {share:.0%} of a CPU{by}",
        "" if cpu_us is None else f"{formatting.digits(cpu_us)} µs a request",
        "" if p99_ms is None else f"p99 {formatting.digits(p99_ms)} ms",
    )
    figures = ", ".join(filter(None, read))
    return (
        f"{formatting.rate(point.rate_rps)}/s ({point.scenario}){f' {figures}' if figures else ''}"
    )


def _checked(capacities: Sequence[Capacity]) -> Iterator[str]:
    every = list(checks(capacities))
    if not every:
        yield "Not checked here: that takes three rates that a stack held."
        return
    yield "Checked on this run, each rate predicted from the two below it:"
    for check in every:
        yield (
            f"  {check.stack}, {check.scenario}: {check.predicted:.0%} of a CPU predicted, "
            f"{check.measured:.0%} measured ({check.off:+.0%})"
        )
