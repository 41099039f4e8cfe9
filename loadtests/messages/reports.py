"""What a load came to, as the generator reports it.

H is how its histograms are held: as Buckets, or packed, as they travel from a worker to its master.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Generic, Self, TypeVar

H = TypeVar("H")

Buckets = tuple[tuple[int, int], ...]
"""A histogram: the highest value that falls into a bucket, in us, and its count, ascending."""

Packed = bytes
"""A histogram as `distributed.packed_histogram` packs it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Requests that failed for one reason, with one example."""

    reason: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Times(Generic[H]):
    """The histograms of one phase, by the names that they have in histograms.csv; see
    `generator.recorder.Series`. None: nothing was recorded."""

    service_time: H | None = None
    response_time: H | None = None
    failure_time: H | None = None
    send_lag: H | None = None
    last_delivery: H | None = None
    first_byte: H | None = None
    first_event: H | None = None


QUANTITIES = tuple(quantity.name for quantity in fields(Times))


@dataclass(frozen=True, slots=True)
class PhaseReport(Generic[H]):
    """The lead-in or the measured window of one load; see `generator.recorder.Series`.

    answers: how many right ones there were.
    """

    times: Times[H]
    failures: tuple[Failure, ...]
    answers: int
    gap_ns: int
    gaps: int
    sent_sum_ns: int
    service_sum_ns: int

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return sum(failure.count for failure in self.failures)

    @property
    def begun(self) -> int:
        """How many requests began, whatever became of them."""
        return self.answers + self.failed


@dataclass(frozen=True, slots=True)
class Stretch(Generic[H]):
    """A load between two marks of its timeline. Times in s after the window opened.

    inside: the response times, where percentiles do not serve, since those of several
    generators cannot be merged.
    """

    from_s: float
    to_s: float
    completed: int
    failures: int
    response_time_p50_ms: float | None
    response_time_p99_ms: float | None
    inside: H | None


@dataclass(frozen=True, slots=True)
class Growth:
    """How the requests of an open loop that were due and had not ended grew over its window.

    earlier, later: the fewest of them in its second and in its last quarter. arrivals: those that
    were due between the middles of the two. failed: those of the window that failed, and had not
    ended as it closed. All are summed over Slices, or over generators.
    """

    earlier: int
    later: int
    arrivals: int
    failed: int = 0

    def __add__(self, other: Growth) -> Growth:
        return Growth(
            self.earlier + other.earlier,
            self.later + other.later,
            self.arrivals + other.arrivals,
            self.failed + other.failed,
        )

    @property
    def share(self) -> float | None:
        """Of the arrivals, those by which the requests under way grew; None of no arrivals."""
        return (self.later - self.earlier) / self.arrivals if self.arrivals else None

    @property
    def by_chance(self) -> bool:
        """Whether a load that is held may as well have left it so. Of one with Poisson arrivals
        and as many servers as it needs (M/G/infinity) the requests under way are a Poisson number,
        whose variance is its mean; two standard deviations of the difference of two."""
        grown = self.later - self.earlier
        return grown <= 0 or grown**2 <= 4 * (self.earlier + self.later)


@dataclass(frozen=True, slots=True)
class LoadReport(Generic[H]):
    """One Load. completed: right answers that came within the window.

    watched: the Slice in which the probe watched, lead-in included; None where there was none.
    counted: what the window's rows say of the load beside its requests, by column.
    growth: of what waits in an open loop; None of any other.
    """

    users: int
    timeline: tuple[Stretch[H], ...]
    completed: int
    warmup: PhaseReport[H]
    measured: PhaseReport[H]
    counted: dict[str, int]
    watched: PhaseReport[H] | None = None
    growth: Growth | None = None


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker's part in a Run, as workers.csv has it. None: not known, as of one that was lost.

    warnings: their codes, joined as in any table.
    """

    worker: int
    host: str
    pid: int
    python: str
    version: str
    users: int
    requests: int | None
    failures: int | None
    offset_ms: float | None
    offset_bound_ms: float | None
    longest_gap_s: float
    report_bytes: int | None
    gone: str | None
    cpu_utilisation: float | None = None
    lag_p99_ms: float | None = None
    clock: str | None = None
    late_ms: float | None = None
    opened_s: float | None = None
    closed_s: float | None = None
    warnings: str | None = None


@dataclass(frozen=True, slots=True)
class FleetReport:
    """What there is to say of several workers beside their merged report.

    one_clock: whether all of them run under the master's kernel. busiest_cpu: the greatest CPU
    time over wall time; worst_lag_p99_ms: the greatest lag; None where no worker's is known.
    """

    busiest_cpu: float | None
    worst_lag_p99_ms: float | None
    one_clock: bool
    workers: tuple[WorkerRow, ...]


@dataclass(frozen=True, slots=True)
class SessionReport(Generic[H]):
    """A session, or one server's part in a Block. Instants are CLOCK_REALTIME, in ns.

    start_realtime_ns: when its users began, which was late_ms after the instant agreed on.
    cpu_s: CPU time of the generator in the window. clock_step_ms: how far the wall clock
    was set, at most: set back it counts, too.
    clock: what the times were read with, `kernel` or `user`. generator_lag: lateness of a timer in
    the generator. loads: by name. fleet: where several workers shared it.
    """

    warmup_s: float
    start_realtime_ns: int
    late_ms: float
    opened_realtime_ns: int
    closed_realtime_ns: int
    measured_s: float
    cpu_s: float
    clock_step_ms: float
    clock: str
    generator_lag: H
    loads: dict[str, LoadReport[H]]
    fleet: FleetReport | None = None

    @property
    def workers(self) -> tuple[WorkerRow, ...]:
        """One each; none where there was one generator."""
        return () if self.fleet is None else self.fleet.workers

    def as_watched(self) -> Self:
        """The report of a Block with the watched Slice as its measured window, for what compares
        the requests that were sent with those that the probe has counted. The histograms are left
        as they are, since nobody asks for them."""
        nothing: PhaseReport[H] = PhaseReport(Times(), (), 0, 0, 0, 0, 0)
        loads = {
            name: replace(load, warmup=nothing, measured=load.watched or nothing)
            for name, load in self.loads.items()
        }
        return replace(self, loads=loads)


Report = SessionReport[Buckets]
PackedReport = SessionReport[Packed]


@dataclass(frozen=True, slots=True)
class SliceResult:
    """One visit to one server. Times in seconds unless the name says otherwise.

    started_s: since the Block's users were connected. lead_in_s: until the window opened: in a
    closed loop when every user had its first answer. seconds: the counted window, in a closed loop
    from answer to answer, the mean over the users; the window itself in an open loop, and where not
    each was answered in it. cycles_s: what these answers took, and the waits before them, summed;
    as many times `seconds` as there are users, by Little's law. None where seconds is the window
    itself. requests: right answers inside it. failures: of the whole Slice. cpu_s, cpu_window_s:
    CPU time of the server, and the window over which it was read, whose edges are some microseconds
    after those of the count; None where it cannot be read. parked_cpu_s, parked_s: CPU time of the
    server in the counted windows of the others since its own last Slice, and how long these were;
    None where there were none. work_ms: the fixed piece of work on the server's CPU, the mean of
    before and after. short_work_us: the short one while the window was open, by the mean of its
    speeds; None where it was not done. stolen_share: of the window, for how much of it the
    hypervisor ran others in place of the servers' CPUs; None where they have none of their own,
    and of an open loop.
    """

    target: str
    started_s: float
    lead_in_s: float
    seconds: float
    cycles_s: float | None
    requests: int
    failures: int
    service_time_p50_ms: float | None
    service_time_p99_ms: float | None
    response_time_p50_ms: float | None
    cpu_s: float | None
    cpu_window_s: float | None
    parked_cpu_s: float | None
    parked_s: float | None
    work_ms: float | None
    short_work_us: float | None
    stolen_share: float | None
