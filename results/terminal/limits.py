"""Measured limits in words, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from loopbench.results.stats import formatting
from loopbench.results.stats.queueing.limits import GENERATOR, Limit, Limits
from loopbench.results.stats.queueing.rate_limit import Reading

_CHANCE = ": so near to the limit, trials differ by chance"
"""Where the times above it are lower than those below it."""

UNSTEADY = 0.05
"""Services that differ by less from trial to trial leave an interval of some per cent."""

LIKELY = 0.5
"""A kind of queue of less of the likelihood is one of several that fit."""


UNTOLD = 0.1
"""Where services differ by so much from trial to trial, that is most of what is late, and trials of
one thread have been read as six: as what kind a server was read is then no more than a guess."""


def lines(found: Limits, wanted_rps: float | None) -> Iterator[str]:
    """The objective, then each stack's limit, the highest first, and the ratio of limits."""
    yield (
        f"p{found.percent:g} of response times below {found.limit_ms:g} ms, one process, "
        f"requests: {formatting.plain(found.case)}"
    )
    yield ""
    width = max(len(one.stack) for one in found.stacks)
    for one in found.stacks:
        yield f"  {one.stack:{width}}  {_rate(one)}"
        for more in _more(one, wanted_rps):
            yield f"  {'':{width}}  {more}"
    over_highest = found.over_highest()
    if over_highest:
        yield ""
    for stack, (times, interval) in over_highest.items():
        between = "" if interval is None else f" [{formatting.between(interval)}]"
        rate = f"the rate of {next(iter(found.known))}"
        yield f"  {stack}: {formatting.digits(times)}x{between} {rate}"


def _rate(one: Limit) -> str:
    found = one.crossing
    if found is None:
        if one.reason == GENERATOR and one.held_rps is not None:
            return f"at least {formatting.digits(one.held_rps)} requests/s: {one.reason}"
        return f"no limit found: {one.reason}"
    interval = found.interval
    sure = "too few trials for an interval"
    if interval is not None:
        sure = f"95 % interval {formatting.between(interval)}"
    return f"{formatting.digits(found.rate_rps)} requests/s ({sure}; {found.trials} trials)"


def _reading(found: Reading) -> str:
    """As what queue the trials were read, and whether that fits."""
    each = f"{formatting.digits(found.service_s * 1e3)} ms"
    if found.queue.threads == 1:
        queue = f"one thread, which a request holds for {each}"
    else:
        queue = f"{found.queue.threads} threads, one of which a request holds for {each}"
    if found.queue.variation:
        queue += " on average, some for much longer than others"
    if found.wait_s:
        queue += f", beside {formatting.digits(found.wait_s * 1e3)} ms in which it holds none"
    if found.drifts:
        return f"no kind of queue fits, so that the interval is wider; the nearest is {queue}"
    if found.deviation >= UNTOLD:
        return f"trials differ by too much to tell as what queue it behaves; the nearest is {queue}"
    sure = "" if found.likelihood >= LIKELY else "; other queues fit nearly as well"
    return f"behaves like {queue}{sure}"


def _more(one: Limit, wanted_rps: float | None) -> Iterator[str]:
    if one.below is not None and one.above is not None:
        what = "a cliff: " if one.cliff else ""
        near = _CHANCE if one.above.p99_ms < one.below.p99_ms else ""
        yield (
            f"{what}p99 {formatting.digits(one.below.p99_ms)} ms at "
            f"{formatting.digits(one.below.rate_rps)}/s, {formatting.digits(one.above.p99_ms)} ms "
            f"at {formatting.digits(one.above.rate_rps)}/s{near}"
        )
    if one.crossing is not None and one.crossing.reading is not None and one.crossing.interval:
        yield _reading(one.crossing.reading)
        if (differs := one.crossing.reading.deviation) >= UNSTEADY:
            yield (
                f"for {differs:.0%} longer or shorter from trial to trial, as the machine, or the "
                "server, was slower or faster: that makes the interval wide"
            )
    for why, of in one.left_out.items():
        lowest, highest = (formatting.digits(of[end]) for end in (0, -1))
        rates = f"{lowest}/s" if lowest == highest else f"{lowest} to {highest}/s"
        yield f"{formatting.counted(len(of), 'trial')} left out: {why.format(rates=rates)}"
    if wanted_rps is not None and (count := one.processes(wanted_rps)) is not None:
        plural = "" if count == 1 else "es"
        yield (
            f"{wanted_rps:,.0f} requests/s need {count:,} process{plural}, each on a CPU of its "
            "own, by the lower end of the interval"
        )
