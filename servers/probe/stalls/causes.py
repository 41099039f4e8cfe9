"""CAUSES: what a stall is told to be caused by, the first that its readings bear out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from loopbench.results.schema import CAUSES_OF_A_LINE, Cause
from loopbench.servers.probe.stalls.stack import Stack
from loopbench.servers.probe.stalls.stall import Frame
from loopbench.servers.probe.stalls.thread_times import FUTEX, RUNNING, SELECTING, Position

LONG_HOLD = 2.0
"""Python code gives the interpreter's lock up after one switch interval when another thread asks,
mostly. Who keeps it for more than so many intervals, and for HELD_SHARE of the stall, is in one
call into C."""

HELD_SHARE = 1 / 3

MOST_OF = 0.5
"""The share of a stall that a cause must account for, once the wait for a CPU is taken off."""

REST = 0.2
"""Where less than this share of a stall, or less than the threshold, is left once the wait for a
CPU is taken off, that wait is the cause."""

BRIEF = 3
"""A stall of at most so many thresholds is judged by one look, since there is time for no more."""

MANY = 4
"""So many callbacks before the first look, or between two, are many callbacks in one turn."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the loop's thread during a stall.

    held_ns: how long the watcher had waited for the interpreter's lock before it. stack: None
    where the frames were not read, or were the probe's alone. where: `described` of the position.
    task: name of the task that ran.
    """

    at_ns: int
    held_ns: int
    position: Position
    where: str
    stack: Stack | None
    task: str | None
    request: int | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a stall. Times in ns, within the stall as far as the readings can tell.

    threshold_ns: what is shorter is no stall. cpu_ns, queued_ns: of the loop's thread.
    others_ns: CPU time of the process's other threads, the watcher's own not counted. lock_ns:
    how long the watcher waited for the interpreter's lock, in all. held_cpu_ns: how long the loop's
    thread computed, at least, in the one wait for the lock in which it computed most. stopped_ns:
    how long the watcher did not run although nothing kept it. stolen_ns: CPU time that the
    hypervisor took from this machine. throttled: whether a quota of CPU time cut the process off.
    collector_ns, generation: of the longest pause of the collector. holder: the thread that held
    the lock, with its frame.
    interval_ns: the interpreter's switch interval.
    """

    wall_ns: int
    threshold_ns: int
    cpu_ns: int
    queued_ns: int
    others_ns: int
    lock_ns: int
    held_cpu_ns: int
    stopped_ns: int
    stolen_ns: int
    throttled: bool
    collector_ns: int
    generation: int | None
    holder: str | None
    interval_ns: int
    samples: tuple[Sample, ...]
    skipped: bool = False

    def mostly(self, part_ns: int) -> bool:
        """Whether a part accounts for what the stall would have been with a CPU for itself."""
        return part_ns >= MOST_OF * (self.wall_ns - self.queued_ns)

    @property
    def asleep_ns(self) -> int:
        """How long the loop's thread neither computed nor wanted to, at least: what the hypervisor
        may have taken, and what other threads may have kept it from, is taken off."""
        known_ns = self.cpu_ns + self.queued_ns + self.stopped_ns + self.stolen_ns + self.others_ns
        return max(0, self.wall_ns - known_ns)

    @property
    def looks(self) -> tuple[Sample, ...]:
        """The samples with frames."""
        return tuple(sample for sample in self.samples if sample.stack is not None)

    @property
    def waiting(self) -> Counter[str]:
        """Where the loop's thread waited, for a person, with how many samples saw it there."""
        return Counter(
            sample.where
            for sample in self.samples
            if sample.position.call != RUNNING and sample.position.call not in SELECTING
        )

    def waits_in(self, call: str) -> bool:
        """Whether most samples saw the thread in a system call."""
        return 2 * sum(sample.position.call == call for sample in self.samples) > len(self.samples)


def _quota(e: Evidence) -> bool:
    return e.throttled and e.stopped_ns + e.queued_ns >= MOST_OF * e.wall_ns


def _stolen(e: Evidence) -> bool:
    # Its ticks are long, and may be of another moment: it explains only what nothing else does. A
    # thread that sleeps in a call would not have used the CPU, and where nobody looked, because the
    # watcher rested, it may have slept.
    known_ns = e.cpu_ns + e.queued_ns
    asleep = 2 * e.waiting.total() > len(e.samples)
    unseen = asleep or e.skipped
    return e.stolen_ns >= MOST_OF * e.wall_ns and known_ns < MOST_OF * e.wall_ns and not unseen


def _stopped(e: Evidence) -> bool:
    return e.stopped_ns >= MOST_OF * e.wall_ns


def _no_cpu(e: Evidence) -> bool:
    rest = e.wall_ns - e.queued_ns
    return e.queued_ns >= MOST_OF * e.wall_ns and rest < max(REST * e.wall_ns, e.threshold_ns)


def _collector(e: Evidence) -> bool:
    return e.mostly(e.collector_ns)


def _computes(e: Evidence) -> bool:
    # What a thread that gives the lock up waits for is the lock.
    waits = sum(sample.position.call not in (RUNNING, FUTEX, *SELECTING) for sample in e.samples)
    return e.mostly(e.cpu_ns) and 2 * waits <= len(e.samples)


def _lock(e: Evidence) -> bool:
    if _computes(e):
        return False
    # The one that has the lock may itself have to wait for a CPU.
    if e.mostly(e.lock_ns):
        return e.others_ns > e.threshold_ns
    return e.mostly(e.others_ns) and (e.waits_in(FUTEX) or not e.samples)


def _blocking(e: Evidence) -> bool:
    kept = e.mostly(e.lock_ns) or e.mostly(e.asleep_ns)
    return not _computes(e) and (bool(e.waiting) or (bool(e.looks) and kept))


def _many_callbacks(e: Evidence) -> bool:
    callbacks = [look.stack.callback for look in e.looks if look.stack and look.stack.callback]
    if not callbacks or not _computes(e):
        return False
    if callbacks[-1][0] * e.threshold_ns < e.wall_ns - e.queued_ns:
        return False  # so few that one of them is long
    steps = [after[0] - before[0] for before, after in pairwise(callbacks)]
    return all(step >= MANY for step in (*steps, callbacks[0][0]))


def _one_long_hold(e: Evidence) -> bool:
    # A thread that has the lock and no CPU keeps it, too: what counts is how long it computed.
    return e.held_cpu_ns > max(LONG_HOLD * e.interval_ns, HELD_SHARE * e.cpu_ns)


def _c_call(e: Evidence) -> bool:
    if not _computes(e):
        return False
    # Not all looks need to agree: the last may come when the call has just returned. A call that
    # makes many objects gives the lock up where the probe is told of the collector.
    inside = Counter(
        look.stack.position
        for look in e.looks
        if look.stack and (look.stack.collecting or look.held_ns < e.interval_ns / 2)
    )
    most = max(inside.values(), default=0)
    return _one_long_hold(e) or (2 * most > len(e.looks) and not _seen_once(e))


def _seen_once(e: Evidence) -> bool:
    """Whether the one look at a long stall met the lock free: where the thread was before and
    after that, and whether it moved, nobody knows."""
    free = all(look.held_ns < e.interval_ns / 2 for look in e.looks)
    return len(e.looks) == 1 and free and e.wall_ns > BRIEF * e.threshold_ns


def _python(e: Evidence) -> bool:
    return _computes(e) and bool(e.looks) and not _seen_once(e)


def _ms(part_ns: int, e: Evidence) -> str:
    return f"{part_ns / 1e6:.1f} of {e.wall_ns / 1e6:.1f} ms"


def _computed(e: Evidence) -> str:
    waited = f" and waited for a CPU for {e.queued_ns / 1e6:.1f}" if e.mostly(e.queued_ns) else ""
    return f"the thread computed for {_ms(min(e.cpu_ns, e.wall_ns), e)}{waited}"


def _about_call(e: Evidence) -> str:
    if _one_long_hold(e):
        held = e.held_cpu_ns / 1e6
        return f"{_computed(e)}, {held:.1f} ms of it without giving the interpreter's lock up"
    if any(look.stack and look.stack.collecting for look in e.looks):
        return f"{_computed(e)} in one call that makes objects, so that the collector ran in it"
    return f"{_computed(e)} in one call that had released the interpreter's lock"


def _about_waiting(e: Evidence) -> str:
    if not e.waiting and not e.mostly(e.lock_ns):
        asleep = _ms(e.asleep_ns, e)
        return f"the thread waited for {asleep}, in a call that was over before it could be read"
    if not e.waiting:
        return "the thread waited without giving the interpreter's lock up"
    looked_up = any(sample.stack is not None and sample.stack.look_up for sample in e.samples)
    what = "looking a name up, " if looked_up else ""
    return f"waited: {what}in {e.waiting.most_common(1)[0][0]}"


def _about_callbacks(e: Evidence) -> str:
    number, of = next(
        look.stack.callback for look in reversed(e.looks) if look.stack and look.stack.callback
    )
    return f"at callback {number} of {of} of one turn when last looked at; {_computed(e)}"


def _about_holder(e: Evidence) -> str:
    who = e.holder or "a thread that has ended since"
    return f"held by {who}; other threads computed for {_ms(min(e.others_ns, e.wall_ns), e)}"


def _about_unknown(e: Evidence) -> str:
    known = [_computed(e)]
    if e.skipped:
        known.append("not looked at: the watcher had used its share of the CPU")
    elif not e.samples:
        known.append("nobody looked at it in time")
    elif not e.looks:
        known.append("no callback ran when it was looked at")
    elif _seen_once(e):
        known.append("looked at once, when the interpreter's lock was free")
    return "; ".join(known)


@dataclass(frozen=True, slots=True)
class CauseRow:
    """One row: a cause, whether the readings bear it out, and what they say, in words."""

    cause: Cause
    holds: Callable[[Evidence], bool]
    detail: Callable[[Evidence], str]


CAUSES: tuple[CauseRow, ...] = (
    CauseRow(
        Cause.QUOTA,
        _quota,
        lambda e: f"cut off by the quota; without a CPU for {_ms(e.stopped_ns + e.queued_ns, e)}",
    ),
    CauseRow(
        Cause.STOLEN,
        _stolen,
        lambda e: f"the hypervisor took {_ms(min(e.stolen_ns, e.wall_ns), e)}",
    ),
    CauseRow(
        Cause.STOPPED,
        _stopped,
        lambda e: f"no thread of the process ran for {_ms(e.stopped_ns, e)}, as after SIGSTOP",
    ),
    CauseRow(
        Cause.NO_CPU,
        _no_cpu,
        lambda e: f"ready to run but without a CPU for {_ms(min(e.queued_ns, e.wall_ns), e)}",
    ),
    CauseRow(
        Cause.COLLECTOR,
        _collector,
        lambda e: f"generation {e.generation} took {_ms(e.collector_ns, e)}",
    ),
    CauseRow(Cause.INTERPRETER_LOCK, _lock, _about_holder),
    CauseRow(Cause.BLOCKING_CALL, _blocking, _about_waiting),
    CauseRow(Cause.MANY_CALLBACKS, _many_callbacks, _about_callbacks),
    CauseRow(Cause.C_CALL, _c_call, _about_call),
    CauseRow(Cause.PYTHON, _python, _computed),
    CauseRow(Cause.UNKNOWN, lambda e: True, _about_unknown),
)
"""In this order, since a later one may be the consequence of an earlier: a thread that is stopped
computes nothing, and waits wherever it happened to be."""


def cause_of(evidence: Evidence) -> tuple[Cause, str]:
    """The cause, and in words what it was told by."""
    row = next(row for row in CAUSES if row.holds(evidence))
    return row.cause, row.detail(evidence)


def decisive(evidence: Evidence, cause: Cause) -> Sample | None:
    """The sample that shows where the loop was held; None where no sample has frames.

    After one long hold of the lock that is the one right behind it, since the call gives the
    lock up as it returns. Otherwise it is one at the line that most samples saw.
    """
    looks = evidence.looks
    if not looks:
        return None
    if cause is Cause.C_CALL and _one_long_hold(evidence):
        return max(looks, key=lambda look: look.held_ns)
    lines: Counter[Frame | None] = Counter(_line(look) for look in looks)
    most = lines.most_common(1)[0][0]
    return next(look for look in looks if _line(look) == most)


def among_tasks(evidence: Evidence, cause: Cause) -> str:
    """Behind the detail: in how many tasks the line was seen, where it is not one alone. A loop
    that serves them one after another in one turn has one stall, as long as all of them."""
    shown = decisive(evidence, cause)
    if shown is None or cause not in CAUSES_OF_A_LINE:
        return ""
    here = (look for look in evidence.looks if _line(look) == _line(shown))
    tasks = {look.task for look in here if look.task is not None}
    return f"; in {len(tasks)} tasks or more, one after another" if len(tasks) > 1 else ""


def _line(sample: Sample) -> Frame | None:
    return None if sample.stack is None else sample.stack.inner
