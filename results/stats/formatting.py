"""How figures are written for a person: three significant digits, and what they stand for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats.intervals.location import Interval
from loopbench.results.stats.plain_text import plain as plain
from loopbench.results.stats.summaries.ratios import Ratio
from loopbench.results.stats.summaries.sample import METRICS
from loopbench.results.stats.summaries.summary import Summary


@dataclass(frozen=True, slots=True)
class Shown:
    """A metric that tables show: for which load models, and under which short name.

    whole: a figure of the whole Run, shown at the first load of a scenario only.
    """

    metric: str
    label: str
    models: tuple[str, ...]
    whole: bool = False


_REQUESTS = (LoadKind.CLOSED, LoadKind.OPEN, LoadKind.LOCUSTFILE)

SHOWN: tuple[Shown, ...] = (
    Shown("throughput_rps", "requests/s", (LoadKind.CLOSED, LoadKind.LOCUSTFILE)),
    Shown("first_byte_p50_us", "first byte p50", (LoadKind.CLOSED,)),
    Shown("first_byte_p99_us", "first byte p99", (LoadKind.CLOSED,)),
    Shown("service_time_p50_ms", "service p50", (LoadKind.CLOSED, LoadKind.LOCUSTFILE)),
    Shown("service_time_p99_ms", "service p99", (LoadKind.CLOSED, LoadKind.LOCUSTFILE)),
    Shown("response_time_p50_ms", "response p50", (LoadKind.OPEN,)),
    Shown("response_time_p99_ms", "response p99", (LoadKind.OPEN,)),
    Shown("cpu_us_per_request", "CPU/request", _REQUESTS, True),
    Shown("memory_growth_bytes_per_request", "growth/request", _REQUESTS, True),
    Shown("rss_peak_bytes", "memory", (LoadKind.IDLE, LoadKind.SLOW), True),
    Shown("throughput_rps", "events/s", (LoadKind.STREAM,)),
    Shown("first_event_p50_ms", "first event p50", (LoadKind.STREAM,)),
    Shown("first_event_p99_ms", "first event p99", (LoadKind.STREAM,)),
    Shown("service_time_p50_ms", "between events p50", (LoadKind.STREAM,)),
    Shown("service_time_p99_ms", "between events p99", (LoadKind.STREAM,)),
    Shown("cpu_us_per_request", "CPU/event", (LoadKind.STREAM,), True),
    Shown("memory_growth_bytes_per_request", "growth/event", (LoadKind.STREAM,), True),
    Shown("throughput_rps", "messages/s", (LoadKind.ECHO,)),
    Shown("service_time_p50_ms", "round trip p50", (LoadKind.ECHO,)),
    Shown("service_time_p99_ms", "round trip p99", (LoadKind.ECHO,)),
    Shown("service_time_p50_ms", "delay p50", (LoadKind.PUSHED, LoadKind.BROADCAST)),
    Shown("service_time_p99_ms", "delay p99", (LoadKind.PUSHED, LoadKind.BROADCAST)),
    Shown("last_delivery_p50_ms", "last p50", (LoadKind.BROADCAST,)),
    Shown("last_delivery_p99_ms", "last p99", (LoadKind.BROADCAST,)),
    Shown("deliveries_lost", "lost", (LoadKind.PUSHED, LoadKind.BROADCAST)),
    Shown(
        "cpu_us_per_request",
        "CPU/message",
        (LoadKind.ECHO, LoadKind.PUSHED, LoadKind.BROADCAST),
        True,
    ),
    Shown("rss_peak_bytes", "memory", (LoadKind.ECHO, LoadKind.BROADCAST), True),
)
"""What a person needs first. In a closed loop the load follows the server, so throughput is the
answer; in an open one the rate is given, and the times are."""


def shown_for(models: Sequence[str]) -> tuple[Shown, ...]:
    """The metrics to show for the last of these load models, those of the loads before it in
    the same scenario; all metrics for one that is not known here."""
    *before, model = models
    rows = [row for row in SHOWN if model in row.models]
    shown_before = [row for row in SHOWN if row.whole and any(m in row.models for m in before)]
    return tuple(row for row in rows or SHOWN if row not in shown_before)


UNITS = {"ms": "ms", "us": "µs", "1/s": "1/s", "bytes": "MB", "s": "s", "1": "", "": ""}
_SCALES = {"bytes": 1e-6}
_IN_BYTES = {"memory_growth_bytes_per_request"}
"""What is too small for MB."""


def unit(metric: str) -> str:
    """The unit that `figure` writes a metric in; blank for counts and shares."""
    written = METRICS[metric].unit
    if metric in _IN_BYTES:
        return written
    return UNITS.get(written, written)


_LABELS = {shown.metric: shown.label for shown in reversed(SHOWN)}


def label_of_kind(metric: str, kind: str) -> str:
    """What a metric is called among loads of this kind, with its unit: messages/s, not requests/s,
    of WebSockets."""
    of_kind = (row.label for row in SHOWN if row.metric == metric and kind in row.models)
    return label(metric, next(of_kind, None))


def label(metric: str, name: str | None = None) -> str:
    """The short name of a metric with its unit; for one that has none, the column's name.

    name: what it is called among loads of one kind.
    """
    short = _LABELS.get(metric) if name is None else name
    if short is None:
        column = METRICS.get(metric)
        scaled = column is not None and column.unit in _SCALES and metric not in _IN_BYTES
        return f"{metric.removesuffix('_bytes')} {unit(metric)}" if scaled else metric
    return f"{short} {'' if short.endswith('/s') else unit(metric)}".strip()


def figure(metric: str, value: float) -> str:
    """A reading in the unit that `unit` names; a whole count with all its digits."""
    if not METRICS[metric].unit and value == round(value):
        return f"{value:,.0f}"
    scale = 1.0 if metric in _IN_BYTES else _SCALES.get(METRICS[metric].unit, 1.0)
    return digits(value * scale)


def digits(value: float) -> str:
    """Three significant digits; thousands apart; never an exponent."""
    if value == 0:
        return "0"
    places = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    if rounded and math.floor(math.log10(abs(rounded))) > math.floor(math.log10(abs(value))):
        places -= 1
    return f"{rounded:,.{max(0, places)}f}"


def rate(rps: float) -> str:
    """A rate that somebody chose: in whole requests from 100 on, below with the digits that tell
    0.5 a second from none."""
    return f"{rps:,.0f}" if rps >= 100 else f"{rps:.4g}"


def counted(count: float, noun: str) -> str:
    """A whole number of things: `1 user`, `1,000 users`."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"


_WIDE = 0.5
"""Half of an interval as a share of the centre, above which a report writes both ends."""


def precision(summary: Summary, *, ends: bool = False) -> str:
    """The 95 % interval of a figure: ± in % of the centre, or both ends; blank below MIN_ROUNDS
    Rounds."""
    interval, metric = summary.interval, summary.sample.metric
    if interval is None:
        return ""
    half = interval.reach(summary.centre)
    if half is None or ends:
        return f"[{figure(metric, interval.low)}–{figure(metric, interval.high)}]"
    return reach(half)


def is_wide(summary: Summary) -> bool:
    """Whether its interval is too wide for ± in % to tell where it ends."""
    if summary.interval is None:
        return False
    half = summary.interval.reach(summary.centre)
    return half is None or half > _WIDE


def ratio(value: Ratio, *, interval: bool = False) -> str:
    """A ratio with its 95 % interval: ± in % of it, or both ends where `interval` asks for them.

    `~` in place of the ratio where it may as well be 1, `?` after it where no interval can tell.
    Where one of the stacks did not hold the offered rate there is no ratio of times.
    """
    if value.overloaded:
        return "overloaded"
    if value.interval is None:
        return f"{digits(value.centre)}x ?"
    if not value.significant:
        return f"~ [{between(value.interval)}]"
    half = value.interval.reach(value.centre)
    if interval or half is None:
        return f"{digits(value.centre)}x [{between(value.interval)}]"
    return f"{digits(value.centre)}x {reach(half)}"


def reach(share: float) -> str:
    """Rounded up, to tenths below 10 %, else to whole ones; above 100 % only that it is so."""
    if share > 1:
        return "±>100%"
    places = 1 if share <= 0.099 else 0  # what is rounded up to 10 % is of the whole ones
    rounded_up = math.ceil(round(share * 100 * 10**places, 6)) / 10**places
    return f"±{rounded_up:.{places}f}%"


def between(interval: Interval) -> str:
    """Both ends of an interval."""
    return f"{digits(interval.low)}–{digits(interval.high)}"


def listed(words: Iterable[str], most: int = 6) -> str:
    """Words with commas; after `most` of them only how many more."""
    every = list(words)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
