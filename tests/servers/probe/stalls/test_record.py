"""What a late watcher says of the loop's thread, by readings as they were on a machine with more to
do than it has CPUs."""

from __future__ import annotations

import threading
import time

import pytest

from loopbench.servers.probe.stalls.record import Beat, Mark, Record, Threads
from loopbench.servers.probe.stalls.thread_times import ThreadTimes, WatchedThread

MS = 1_000_000


def mark(at_ms: float, loop: tuple[float, float], own: tuple[float, float, int]) -> Mark:
    """loop: CPU time and waiting for a CPU. own: the watcher's, with how often it ran."""
    return Mark(
        int(at_ms * MS),
        ThreadTimes(int(loop[0] * MS), int(loop[1] * MS), 0),
        0,
        ThreadTimes(int(own[0] * MS), int(own[1] * MS), own[2]),
    )


@pytest.mark.parametrize(
    ("late_ms", "loop", "own_queued_ms", "turns", "asleep_ms", "held_cpu_ms"),
    [
        # json.dumps: the lock is kept while the thread computes, and while it has no CPU.
        (298.5, (111.6, 195.0), 159.8, 31, 138.7, 98.6),
        (290.4, (152.8, 181.5), 94.1, 44, 196.3, 139.8),
        # A sum in Python: it is given up a switch interval after the watcher asks.
        (8.7, (20.0, 19.7), 3.2, 4, 5.5, 5.5),
        (5.5, (12.6, 29.7), 0.0, 4, 5.5, 0.0),
        # zlib: the lock is free, and the watcher itself had no CPU.
        (5.8, (16.4, 37.0), 5.5, 1, 0.3, 0.3),
    ],
)
def test_what_was_computed_in_a_wait_for_the_lock(
    late_ms: float,
    loop: tuple[float, float],
    own_queued_ms: float,
    turns: int,
    asleep_ms: float,
    held_cpu_ms: float,
) -> None:
    """The watcher was to wake 13 ms after its last look; all of them may have been computed."""
    past = mark(1000, (0, 0), (0, 0, 0))
    woken = mark(1013 + late_ms, loop, (0.1, own_queued_ms, turns))
    delay = Record(5 * MS, []).delayed(1013 * MS, past, woken)
    assert delay.stopped_ns == 0
    assert delay.asleep_ns / MS == pytest.approx(asleep_ms)
    assert delay.held_cpu_ns / MS == pytest.approx(held_cpu_ms)


def test_a_first_look_goes_by_the_beat_before_the_stall() -> None:
    """The last look may be a second ago, in which the loop has computed for others."""
    record = Record(5 * MS, [])
    beat: Beat = (1995 * MS, b"900000000 0 0", 0)
    record.beats.append(beat)
    past = mark(1000, (0, 0), (0, 0, 0))
    woken = mark(2075, (970, 0), (0.1, 0, 15))
    assert record.delayed(2006 * MS, past, woken, since_ns=2000 * MS).held_cpu_ns == 59 * MS
    assert record.delayed(2006 * MS, past, woken).held_cpu_ns == 0


def computing(ms: int) -> None:
    """Until this thread has computed for so long."""
    until = time.thread_time_ns() + ms * MS
    while time.thread_time_ns() < until:
        pass


@pytest.mark.parametrize(("ended", "noted"), [(False, False), (True, False), (True, True)])
def test_who_held_the_lock_is_one_that_has_computed(ended: bool, noted: bool) -> None:
    """And none of those that live where it has ended, unless it was seen before that."""
    # One that is woken to end computes as it does.
    release, leave, done = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        computing(50)
        done.set()
        release.wait()

    record, own = Record(5 * MS, []), WatchedThread(threading.get_native_id())
    idle = threading.Thread(target=leave.wait, name="idle")
    idle.start()
    busy = threading.Thread(target=hold, name="busy")
    began = time.perf_counter_ns()
    record.marks.append(Mark.read(own.times()))
    busy.start()
    done.wait()
    if noted:
        record.note_holder(threading.get_ident(), Threads.now())
    if ended:
        release.set()
        busy.join()
    record.marks.append(Mark.read(own.times()))
    evidence = record.evidence(began, time.perf_counter_ns(), threading.get_ident())
    release.set()
    leave.set()
    for thread in (idle, busy):
        thread.join()
    own.close()
    who = (evidence.holder or "nobody").split(" at ")[0]
    assert who != "thread idle"
    assert (who == "thread busy") is (noted or not ended)


def test_what_the_loop_waited_for_a_cpu_long_ago_explains_no_wait_for_the_lock() -> None:
    """The last look may be a second ago, in which the machine was busy."""
    record = Record(5 * MS, [])
    record.beats.append((1995 * MS, b"1000000 300000000 0", 0))
    past = mark(1000, (0, 0), (0, 0, 0))
    delay = record.delayed(2006 * MS, past, mark(2036, (1, 300), (0.1, 0, 7)))
    assert (delay.lock_ns, delay.stopped_ns) == (30 * MS, 0)


def test_a_watcher_that_was_stopped_waited_for_no_lock() -> None:
    """Nothing woke it, as the switch interval does who waits for the lock."""
    past = mark(1000, (0, 0), (0, 0, 0))
    delay = Record(5 * MS, []).delayed(1013 * MS, past, mark(1113, (90, 0), (0.1, 0, 1)))
    assert delay.stopped_ns == 100 * MS
    assert delay.asleep_ns == delay.held_cpu_ns == 0
