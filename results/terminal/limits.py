"""Measured limits in words, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from loopbench.results.stats import formatting
from loopbench.results.stats.queueing.limits import GENERATOR, TAKERS, Limit, Limits
from loopbench.results.stats.queueing.rate_limit import Reading

_CHANCE = ": so near to the limit, trials differ by chance"
"""Where the times above it are lower than those below it."""

UNSTEADY = 0.05
"""Services that differ by less from trial to trial leave an interval of some per cent."""

SHARED = 0.05
"""From which on a limit is not that of the whole CPUs."""

LIKELY = 0.5
"""A kind of queue of less of the likelihood is one of several that fit."""


UNTOLD = 0.1
"""Where services differ by so much from trial to trial, that is most of what is late, and trials of
one thread have been read as six: as what kind a server was read is then no more than a guess."""


def lines(limits: Limits, wanted_rps: float | None) -> Iterator[str]:
    """The objective, then each stack's limit, the highest first, and the ratio of limits."""
    yield (
        f"p{limits.percent:g} of response times below {limits.limit_ms:g} ms, one process, "
        f"requests: {formatting.plain(limits.case)}"
    )
    yield ""
    width = max(len(limit.stack) for limit in limits.stacks)
    for limit in limits.stacks:
        yield f"  {limit.stack:{width}}  {_rate(limit)}"
        for more in _more(limit, wanted_rps):
            yield f"  {'':{width}}  {more}"
    over_highest = limits.over_highest()
    if over_highest:
        yield ""
    for stack, (times, interval) in over_highest.items():
        between = "" if interval is None else f" [{formatting.between(interval)}]"
        rate = f"the rate of {next(iter(limits.known))}"
        yield f"  {stack}: {formatting.digits(times)}x{between} {rate}"


def _rate(limit: Limit) -> str:
    crossing = limit.crossing
    if crossing is None:
        if limit.reason == GENERATOR and limit.held_rps is not None:
            return f"at least {formatting.digits(limit.held_rps)} requests/s: {limit.reason}"
        return f"no limit found: {limit.reason}"
    interval = crossing.interval
    sure = "too few trials for an interval"
    if interval is not None:
        sure = f"95 % interval {formatting.between(interval)}"
    return f"{formatting.digits(crossing.rate_rps)} requests/s ({sure}; {crossing.trials} trials)"


def _reading(reading: Reading) -> str:
    """As what queue the trials were read, and whether that fits."""
    each = f"{formatting.digits(reading.service_s * 1e3)} ms"
    if reading.queue.threads == 1:
        queue = f"one thread, which a request holds for {each}"
    else:
        queue = f"{reading.queue.threads} threads, one of which a request holds for {each}"
    if reading.queue.variation:
        queue += " on average, some for much longer than others"
    if reading.wait_s:
        queue += f", beside {formatting.digits(reading.wait_s * 1e3)} ms in which it holds none"
    if reading.drifts:
        return f"no kind of queue fits, so that the interval is wider; the nearest is {queue}"
    if reading.deviation >= UNTOLD:
        return f"trials differ by too much to tell as what queue it behaves; the nearest is {queue}"
    sure = "" if reading.likelihood >= LIKELY else "; other queues fit nearly as well"
    return f"behaves like {queue}{sure}"


def _more(limit: Limit, wanted_rps: float | None) -> Iterator[str]:
    if limit.below is not None and limit.above is not None:
        what = "a cliff: " if limit.cliff else ""
        near = _CHANCE if limit.above.p99_ms < limit.below.p99_ms else ""
        yield (
            f"{what}p99 {formatting.digits(limit.below.p99_ms)} ms at "
            f"{formatting.digits(limit.below.rate_rps)}/s, "
            f"{formatting.digits(limit.above.p99_ms)} ms at "
            f"{formatting.digits(limit.above.rate_rps)}/s{near}"
        )
    if (
        limit.crossing is not None
        and limit.crossing.reading is not None
        and limit.crossing.interval
    ):
        yield _reading(limit.crossing.reading)
        if (differs := limit.crossing.reading.deviation) >= UNSTEADY:
            yield (
                f"for {differs:.0%} longer or shorter from trial to trial, as the machine, or the "
                "server, was slower or faster: that makes the interval wide"
            )
    if limit.crossing is not None and limit.crossing.interval is None:
        yield from _seen(limit)
    for why, of in limit.left_out.items():
        lowest, highest = (formatting.digits(of[end]) for end in (0, -1))
        rates = f"{lowest}/s" if lowest == highest else f"{lowest} to {highest}/s"
        yield f"{formatting.counted(len(of), 'trial')} left out: {why.format(rates=rates)}"
    for taker, share in limit.taken.items():
        if share >= SHARED:
            yield (
                f"{TAKERS[taker]} had {share:.0%} of the time of the server's CPUs in the middle "
                "one of these trials: it is the limit of what was left"
            )
    if wanted_rps is not None:
        yield _needed(limit, wanted_rps)


def _seen(limit: Limit) -> Iterator[str]:
    """What single trials came to, beside a limit that has no interval: it may be far from them."""
    if limit.held_rps is not None and limit.not_held_rps is not None:
        held, late = map(formatting.digits, (limit.held_rps, limit.not_held_rps))
        yield f"the highest rate that held in a trial: {held}/s; the lowest that did not: {late}/s"


def _needed(limit: Limit, wanted_rps: float) -> str:
    rate, count = formatting.rate(wanted_rps), limit.processes(wanted_rps)
    if count is None:
        return f"how many processes {rate} requests/s need cannot be told without an interval"
    plural = "" if count == 1 else "es"
    return (
        f"{rate} requests/s need {count:,} process{plural}, each on a CPU of its own, by the lower "
        "end of the interval"
    )
