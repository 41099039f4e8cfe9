"""The highest arrival rate at which a response-time objective holds, from trials at many rates.

An objective such as "p99 below 20 ms" allows a share of the requests, here 1 %, to be late. The
share of late requests rises with the rate, and the limit is the rate at which it crosses the
allowed one, on the average over the states that the machine is in and over all arrivals. Trials
are made at rates on both sides of it.

Model. The server is taken for one of 76 kinds of queues (queues.py): so many threads, and
services that are equal or differ from request to request; or one thread beside which a request
waits for a constant time. A trial in which requests took less than that excludes the kind. Each
trial tells of each kind the span of services with which the arrivals of this trial, which are
known, make as many requests late. The logarithms of the services of a server are taken to be
normal, the same at every rate, with a standard deviation that is the state of the machine, or
whatever else differs from trial to trial. The limit of a kind is the rate at which the share of a
queue, averaged over that normal distribution, is the allowed one. The kinds are averaged by the
likelihood of the trials (queue_fit.py). Trials where the server is full tell its service, those
around the limit how it gets there: both together tell one kind from another.

Trials. Left out are those in which the hypervisor, or other programs, took more of the server's
CPUs than in the others (`disturbances`), at whatever rate, and whatever came of them: that is no
state of the server. On an Intel Xeon
whose hypervisor took a tenth of its CPUs, 14 of the 16 trials of Quart on Hypercorn in which it
took 10 % or more missed an objective of 20 ms for p99, from 358 requests a second on, and 6 of the
31 others, which went up to 789. The limit was read as 380 a second, between 53 and 2,740. Without
them the next search found it at 673 a second, between 471 and 961.

Check. Of the right kind the service is the same at every rate. Where services drift with the rate
by more than DRIFT_ERRORS standard errors, the limit that follows from the trials beside it differs
from that of all of them; the difference is added to the error.

Interval. Student's t with three degrees of freedom fewer than trials; WIDENED makes up for the
trials being placed, and the search ended, by what was seen. MODEL_ERROR is what the closed form, or
a server between two kinds, may be off by. In 7 whole simulated searches each, to 4 % or 48 trials,
of servers whose services varied by 3 % from trial to trial, the interval, with half a per cent for
the truth, which is simulated, held the limit in all but one (of 2 ms; half of it 3.7 %) of 112:
services of 0.2 ms (3.9 %), exponential ones (13 %), 0.2 and 4 ms mixed (11 %); waits of 7 and 10 ms
beside 2 ms of computing, of 13 ms beside 1 ms and of 10 ms beside 0.3 ms (3.9 %), of 5 ms beside
exponential services of 1 ms (6 %), of 10 ms between two times 1 ms of computing (5.2 %); six
threads of 10 ms (3.9 %), of 8 ms with a variation of 0.3 (4.0 %) and of 3 ms, exponentially
(4.5 %), six that wait for 10 ms each and compute for 0.5 ms under one lock, and 16 of 10 ms
(3.9 %); a pause of 8 ms every 500 requests (3.9 %). The mean of the limits was off by at most 1.6 %
where half of the interval was below 6 %, and by 0.5 to 3.9 % elsewhere.

Of single kinds many more sittings were simulated since (`loadtests selfcheck capacity`), with 4
draws of the services of a trial. The interval held the limit of services of exactly 2 ms in 179
of 180, of 0.2 ms in 40 of 40, beside a wait in 40 of 40, of six threads in 37 of 40 and,
exponentially, in 39 of 40; of exponential services of 2 ms on one thread in 91 of 100, and every
miss was too high. There 41 of 100 sittings were read as another kind: the mean width of the spans
of few draws is too small by chance where few are late, which speaks against every kind whose
services differ, and so for several threads with steadier ones. With 16 draws, and the luck of a
trial moderated (queue_fit.py), the interval held it in 42 of 43 sittings, 4 of which were read as
another kind; half of it is 7.8 % in the middle, and was 9.8 %. With them the other kinds have had
few sittings again: services of 2 ms that differ by 0, 5 and 10 % from trial to trial, of 0.2 ms
by 2 and 10 %, and of 2 ms beside a wait, one each, of which all six held it.

A server may also hold every rate up to one and break down there. A queue fits that badly: its
share of late requests rises over many rates, services drift or differ much from trial to trial,
and still the trials are parted sharply at one. The limit is then said to be between the two
trials beside the leap.

What else was tried, on simulated servers (tests/results/stats/queueing/test_rate_limit.py) of 500
and 5,000 services a second, with 48 trials:
- An isotonic fit of the shares: 2 % too high, standard deviation 4 %, since it takes what it knows
  from the few trials beside the crossing.
- Logistic regression of the shares over the rate, with the dispersion of the trials: its interval
  reached 4 to 13 % far, and where the service varied by 10 % from trial to trial it reached 20 %
  and still held the truth in 85 of 100 sittings. Of 500 services a second 4.2 % was its floor, even
  with every trial at the limit: so much do the arrivals of 48 seconds differ.
- A queue at one thread alone, with services that may fall with the rate: six threads in place of
  one came out 6 % too low, with an interval of 5 % that held the truth in 3 of 16 searches;
  exponential services 18 % too low.
- Services freed from the speed that the CPU had in each trial, by the short work
  (`results.stats.intervals.covariates`). On simulated servers that differ as that speed does, half
  of the interval fell from 18 to 10 %. On an Intel Xeon whose speed differed by 17 % from trial to
  trial it stayed as it was: the services of aiohttp and of Quart followed the work with slopes of
  0.4 and 0.5 only. What is late there is what met the slow moments within a trial, or a stall, and
  the mean speed of its second says little of those.
- The closed form of a queue in place of its simulation: it differs by less than 1 % of the rate,
  and takes a thousandth of the time.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from loopbench.results.grouping import grouped
from loopbench.results.schema.tables.capacity import Taker
from loopbench.results.stats.intervals.location import Interval, quantile
from loopbench.results.stats.queueing.queue_fit import fit
from loopbench.results.stats.queueing.queues import Queue, Span, Window

TAKEN_LIMITS: Mapping[Taker, float] = MappingProxyType(
    {Taker.HYPERVISOR: 0.02, Taker.PROGRAMS: 0.05}
)
"""What each may take of a trial. Of the hypervisor two or three of the ticks in which it is told;
of other programs what a quiet system's own work is below."""

WINDOW = 0.9
"""Trials further from the limit, in the rate's logarithm, take no part."""

WIDENED = 1.2
MODEL_ERROR = 1e-2
"""Standard error of the model, as a share of the rate: of the closed form, and of a server that is
between two kinds of queues."""

DRIFT_ERRORS, SURE_DRIFT_ERRORS = 2.0, 3.5
"""A drift of fewer of its standard errors may be luck; one of so many is none."""

FEWEST_TRIALS = 10
"""Fewer near the limit give no interval."""

CLIFF_SLOPE = 60.0
"""Above it the share of late requests grows tenfold within 4 % of the rate."""

LEAP, FEWEST_LEAPS = 10, 8
"""By so much the share must leap, and so many trials be on either side, to be taken for one."""

UNSTEADY = 0.15
"""Services that differ by more from trial to trial may be those of no queue: one whose requests
differ hides the drift of a server that breaks down at a rate in that."""

LEAPS_WITHIN = 0.5
"""Of the way in which the share of the most likely queue grows by LEAP: it does not part held rates
from missed ones so sharply."""

_MOST_ERROR = 3.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One rate that was offered. slow: of the requests offered.

    spans: of each kind of queue, the services with which it would have had as many slow. taken:
    share of the trial for which others had the server's CPUs, by whom; nothing of whom it is not
    known.
    """

    rate_rps: float
    offered: int
    slow: int
    spans: Mapping[Queue, Span]
    window: Window
    taken: Mapping[Taker, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """The queue that is most like the server.

    service_s: for which a request holds one of its threads, in the mean. wait_s: for which it waits
    beside them, holding none. deviation: by which that
    differs from trial to trial, as a share. likelihood: of this kind, as a share of that of all
    kinds. drifts: whether its services move with the rate, so that the server is none of the kinds.
    """

    queue: Queue
    service_s: float
    wait_s: float
    deviation: float
    likelihood: float
    drifts: bool

    @property
    def full_rps(self) -> float:
        """The rate at which all threads are busy all the time."""
        return self.queue.threads / self.service_s


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where the share of slow requests crosses the allowed one.

    rate_rps: the limit. error: standard error of its logarithm, widened, with that of the model.
    slope: of the odds of being slow over the rate there, both as logarithms. trials: how many took
    part. reading: as what queue they were read; None where the share leaps.
    """

    rate_rps: float
    error: float
    slope: float
    trials: int
    reading: Reading | None

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the limit; None of too few trials."""
        if self.trials < FEWEST_TRIALS:
            return None
        half = quantile(self.trials - 3) * self.error
        return Interval(self.rate_rps * math.exp(-half), self.rate_rps * math.exp(half))

    @property
    def half_width(self) -> float | None:
        """Half of the interval as a share of the limit; None without one."""
        interval = self.interval
        return None if interval is None else math.log(interval.high / interval.low) / 2


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Why a trial counts for nothing: `taker` took more than the share `most` of it."""

    taker: Taker
    most: float


def disturbances(trials: Sequence[Trial]) -> list[Disturbance | None]:
    """Of each trial; None: it counts, whatever came of it.

    Each may have taken what TAKEN_LIMITS allows, or what it took in half of the trials, where that
    is more: at least a quarter of the trials are left.
    """
    disturbed: list[Disturbance | None] = [None] * len(trials)
    for taker, limit in TAKEN_LIMITS.items():
        left = [place for place, by in enumerate(disturbed) if by is None]
        usual = usually_taken(trials[place] for place in left)
        most = max(limit, usual.get(taker, 0.0))
        for place in left:
            if trials[place].taken.get(taker, 0.0) > most:
                disturbed[place] = Disturbance(taker, most)
    return disturbed


def undisturbed(trials: Sequence[Trial]) -> list[Trial]:
    """Those that count."""
    pairs = zip(trials, disturbances(trials), strict=True)
    return [trial for trial, disturbed in pairs if disturbed is None]


def usually_taken(trials: Iterable[Trial]) -> Mapping[Taker, float]:
    """The share that each took in the middle one of the trials that tell it."""
    by = grouped(taken for trial in trials for taken in trial.taken.items())
    return {taker: statistics.median_high(shares) for taker, shares in by.items()}


def ratio(one: Crossing, other: Crossing) -> tuple[float, Interval | None]:
    """One limit over another, with its interval; trials of both are taken as independent, though
    the same minutes disturb both, so that it is rather too wide."""
    centre = one.rate_rps / other.rate_rps
    if one.interval is None or other.interval is None:
        return centre, None
    freedom = min(one.trials, other.trials) - 3
    half = quantile(freedom) * math.hypot(one.error, other.error)
    return centre, Interval(centre * math.exp(-half), centre * math.exp(half))


def bracketed(trials: Iterable[Trial], share: float) -> bool:
    """Whether there are trials on both sides of the limit."""
    held = {trial.slow <= share * trial.offered for trial in trials if trial.offered}
    return held == {True, False}


def crossing(trials: Sequence[Trial], share: float) -> Crossing | None:
    """The limit for an allowed share of slow requests; None where all trials are on one side."""
    usable = [trial for trial in trials if trial.offered]
    if len(usable) < 3 or not bracketed(usable, share):
        return None
    estimate = _fit(usable, share)
    if estimate.reading is not None and _misfit(estimate.reading):
        leap = _leap(usable, share, LEAPS_WITHIN * math.log(LEAP) / estimate.slope)
        if leap is not None:
            return leap
    near = [
        trial for trial in usable if abs(math.log(trial.rate_rps / estimate.rate_rps)) <= WINDOW
    ]
    if 3 <= len(near) < len(usable) and bracketed(near, share):
        return _fit(near, share)
    return estimate


def _misfit(reading: Reading) -> bool:
    """Whether the server may be none of the kinds."""
    return reading.drifts or reading.deviation > UNSTEADY


def _leap(trials: Sequence[Trial], share: float, within: float) -> Crossing | None:
    """The limit of a server that holds every rate up to one, and leaps there to LEAP of the allowed
    share and more: no queue does. It is between two trials, whose rates' logarithms differ by less
    than `within`; as a standard error counts half of that. None where the trials do not look like
    that, or are few on a side."""
    held = [trial for trial in trials if trial.slow <= share * trial.offered]
    missed = [trial for trial in trials if trial.slow > share * trial.offered]
    last = max(held, key=lambda trial: trial.rate_rps)
    first = min(missed, key=lambda trial: trial.rate_rps)
    leaps = all(trial.slow >= LEAP * share * trial.offered for trial in missed)
    distance = math.log(first.rate_rps / last.rate_rps)
    if not 0 < distance < within or not leaps or min(len(held), len(missed)) < FEWEST_LEAPS:
        return None
    odds = [
        math.log((trial.slow + 0.5) / (trial.offered - trial.slow + 0.5)) for trial in (last, first)
    ]
    return Crossing(
        math.sqrt(last.rate_rps * first.rate_rps),
        distance / 2,
        (odds[1] - odds[0]) / distance,
        len(trials),
        None,
    )


def _fit(trials: Sequence[Trial], allowed: float) -> Crossing:
    """By the queues that the server may be."""
    fitted = fit(trials, allowed)
    errors = abs(fitted.drift) / fitted.drift_error
    moved = fitted.drift * (fitted.log_rate - fitted.drift_from) if errors > DRIFT_ERRORS else 0.0
    error = min(_MOST_ERROR, math.hypot(WIDENED * fitted.error, MODEL_ERROR, moved))
    return Crossing(
        math.exp(fitted.log_rate),
        error,
        fitted.slope,
        len(trials),
        Reading(
            fitted.queue,
            fitted.service_s,
            fitted.queue.wait * trials[0].window.limit_s,
            fitted.deviation,
            fitted.likelihood,
            errors > SURE_DRIFT_ERRORS,
        ),
    )
