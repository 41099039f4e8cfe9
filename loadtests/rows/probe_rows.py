"""From what the server's probe counted to figures and rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from loopbench.loadtests.messages.reports import Report
from loopbench.loadtests.observe.observer import Observed, are_of_a_window
from loopbench.loadtests.observe.store_cpu import used
from loopbench.loadtests.rows.histogram import Histogram, from_pairs
from loopbench.loadtests.scenarios.table import Load
from loopbench.results.schema import OBSERVATIONS, THREAD_POOLS, THREADS, TIMELINE, Value
from loopbench.servers.probe.connection_pool import PoolReading
from loopbench.servers.probe.readings import Moment, Observation

Row = dict[str, Value]


def server_wide(observed: Observed) -> Row:
    """Figures of the whole server process; empty where nothing was read."""
    return {**_process_figures(observed), **_store_figures(observed), **_probe_figures(observed)}


def _process_figures(observed: Observed) -> Row:
    before, after = observed.before, observed.after
    opened = None if observed.opened is None else observed.opened.server
    closed = None if observed.closed is None else observed.closed.server
    row: Row = {}
    if before is not None:
        row |= {"rss_start_bytes": before.rss_bytes, "descriptors_start": before.descriptors}
    if closed is not None:
        row |= {"rss_end_bytes": closed.rss_bytes, "descriptors_end": closed.descriptors}
    if after is not None:
        row |= {"rss_after_bytes": after.rss_bytes, "descriptors_after": after.descriptors}
    if opened is not None and closed is not None:
        threads = [closed.threads, opened.threads]
        threads += [glance.process.threads for glance in observed.glances if glance]
        row |= {
            "threads_max": max(threads),
            "voluntary_switches": closed.voluntary_switches - opened.voluntary_switches,
            "involuntary_switches": closed.involuntary_switches - opened.involuntary_switches,
        }
    return row


def _store_figures(observed: Observed) -> Row:
    opened = None if observed.opened is None else observed.opened.stores
    closed = None if observed.closed is None else observed.closed.stores
    if opened is None or closed is None:
        return {}
    wall_s = (closed.monotonic_ns - opened.monotonic_ns) / 1e9
    times = {
        "database": used(opened.database_s, closed.database_s),
        "redis": used(opened.redis_s, closed.redis_s),
    }
    return {
        **{f"{name}_cpu_s": time_s for name, time_s in times.items()},
        **{f"{name}_cpu_share": time_s and time_s / wall_s for name, time_s in times.items()},
    }


def _probe_figures(observed: Observed) -> Row:
    probe = observed.probe
    if probe is None:
        return {}
    loop, executor, collector = probe.loop, probe.executor, probe.collector
    delay = from_pairs(loop.delay_us).statistics_ms()
    wait = from_pairs(executor.wait_us).statistics_ms()
    idle, stretch, oldest = loop.idle_ns, loop.longest_stretch_ns, loop.task_oldest_ns
    return {
        **_pool_figures(probe.pool),
        "loop_class": loop.loop_class,
        **{f"loop_delay_{short}_ms": delay[short] for short in ("p50", "p99", "max")},
        "loop_utilisation": None if idle is None else 1 - idle / loop.wall_ns,
        "loop_utilisation_read_by": loop.idle_read_by,
        "loop_longest_stretch_ms": None if stretch is None else stretch / 1e6,
        "tasks_max": loop.tasks_max,
        "tasks_created": loop.tasks_created,
        "task_oldest_ms": None if oldest is None else oldest / 1e6,
        "task_oldest_graph": loop.task_oldest_graph,
        "task_exceptions_unread": loop.task_exceptions_unread,
        **{f"executor_wait_{short}_ms": wait[short] for short in ("mean", "p50", "p99", "max")},
        "executor_threads_max": executor.threads_max,
        "executor_queue_max": executor.queue_max,
        "gc_pauses": sum(generation.pauses for generation in collector),
        "gc_pause_total_ms": sum(generation.pause_total_ns for generation in collector) / 1e6,
        "gc_pause_max_ms": max((generation.pause_max_ns for generation in collector), default=0)
        / 1e6,
    }


def _pool_figures(pool: PoolReading) -> Row:
    """Of the pools of the process, which have one size; blank where none was opened."""
    waits, sizes = from_pairs(pool.wait_us), set(pool.sizes.values())
    return {
        "pool_size": sizes.pop() if len(sizes) == 1 else None,
        "pool_most_waiting": pool.most_waiting,
        **{
            f"pool_wait_p{percent}_us": waits.percentile_us(percent) if waits.count else None
            for percent in (50, 99)
        },
    }


def load_figures(observed: Observed, report: Report, load: Load) -> Row:
    """Figures of one load's route: time in the handler, and a request taken apart."""
    row: Row = {}
    if observed.probe is not None:
        statistics = _handler_time(observed.probe, load).statistics_ms()
        row |= {f"handler_time_{short}_ms": statistics[short] for short in ("p50", "p99")}
    parts = taken_apart(observed, report, load)
    if parts is not None:
        row |= {
            "before_handler_mean_ms": parts.before_ms,
            "in_handler_mean_ms": parts.inside_ms,
            "after_handler_mean_ms": parts.after_ms,
        }
    return row


def _handler_time(probe: Observation, load: Load) -> Histogram:
    """Time in the handler of a load's route, on all threads together."""
    handler = Histogram()
    for tally in probe.routes.get(load.route or "", ()):
        handler.add(dict(tally.handler_us))
    return handler


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the mean request's service time went, in ms; the sum is the service time."""

    before_ms: float
    inside_ms: float
    after_ms: float


def taken_apart(observed: Observed, report: Report, load: Load) -> Parts | None:
    """The mean of each part over the measured window, without a mark on any request.

    The mean of a difference is the difference of the means: summed instants of
    the sends, of the handlers' begins and ends, and of the answers' arrivals
    suffice. Client and server pick the same requests by number, since the
    server begins them in the order of their sending but for neighbours that
    overtake each other, whose instants are nearly equal.

    None where the numbers of the two sides do not agree (failures, another
    load on the same route), where the server kept no instants, and where a
    part comes out below zero, as after a step of the clock.
    """
    instants = observed.instants.get(load.name)
    load_report = report.loads[load.name]
    measured, count = load_report.measured, load_report.measured.begun
    if instants is None or instants.began_ns is None or instants.ended_ns is None:
        return None
    if not count or measured.failures or load_report.warmup.failures:
        return None
    if load_report.warmup.begun + count != instants.handled:
        return None
    service_ns = measured.service_sum_ns / count
    sent = report.start_realtime_ns - instants.origin_ns + measured.sent_sum_ns / count
    began, ended = instants.began_ns / count, instants.ended_ns / count
    before, inside = began - sent, ended - began
    after = service_ns - before - inside
    if min(before, inside, after) < 0:
        return None
    return Parts(before / 1e6, inside / 1e6, after / 1e6)


def observation_rows(run_id: str, observed: Observed) -> Iterator[Row]:
    """A row a route and thread (and loop): where the requests of the window ran."""
    if observed.probe is None:
        return
    for route, tallies in observed.probe.routes.items():
        total = sum(tally.requests for tally in tallies)
        for tally in tallies:
            share = tally.requests / total
            yield OBSERVATIONS.row_of(tally, run_id=run_id, route=route, share=share)


def thread_rows(run_id: str, observed: Observed) -> Iterator[Row]:
    """A row a thread that was alive at the end of the window."""
    if observed.probe is None:
        return
    for reading in observed.probe.threads:
        cpu_ms, run_queue_ms = reading.cpu_ns / 1e6, reading.run_queue_ns / 1e6
        yield THREADS.row_of(reading, run_id=run_id, cpu_ms=cpu_ms, run_queue_ms=run_queue_ms)


def stall_rows(run_id: str, observed: Observed) -> Iterator[Row]:
    """A row a stall of the window."""
    if observed.probe is None:
        return
    for stall in observed.probe.stalls.stalls:
        yield {"run_id": run_id, **asdict(stall)}


def thread_pool_rows(run_id: str, observed: Observed) -> Iterator[Row]:
    """A row a pool of threads."""
    if observed.probe is None:
        return
    for pool in observed.probe.thread_pools:
        wait_ns = pool.wait_mean_ns
        yield THREAD_POOLS.row_of(
            pool,
            run_id=run_id,
            thread_limit=pool.limit,
            queued_max=pool.most_queued,
            queued_mean=pool.mean_queued,
            wait_mean_ms=None if wait_ns is None else wait_ns / 1e6,
            note=pool.words or None,
        )


def one_thread_queue(observed: Observed) -> float | None:
    """How many calls waited, on average, for the only thread of a pool: of the longest such queue;
    None where no pool of one thread could be read."""
    if observed.probe is None:
        return None
    queues = [pool.mean_queued for pool in observed.probe.thread_pools if pool.limit == 1]
    return max((queue for queue in queues if queue is not None), default=None)


def timeline_rows(run_id: str, observed: Observed, report: Report, load: Load) -> Iterator[Row]:
    """A row a stretch between two marks, the server's side beside the load's."""
    slices = report.loads[load.name].timeline
    glances = observed.glances if len(observed.glances) == len(slices) else [None] * len(slices)
    opened = None if observed.opened is None else observed.opened.server
    earlier: Moment | None = None
    for number, (part, glance) in enumerate(zip(slices, glances, strict=True)):
        rate = part.completed / (part.to_s - part.from_s)
        row = TIMELINE.row_of(part, run_id=run_id, load=load.name, throughput_rps=rate)
        if glance is not None:
            row |= _held(glance)
            begin = opened if earlier is None else earlier.process
            # Two that are not a stretch apart were asked late, and say nothing of this one.
            told = begin is None or are_of_a_window(begin, glance.process, part.to_s - part.from_s)
            if told and (number == 0 or earlier is not None):  # else nobody knows when it began
                row |= _since(glance, earlier)
                if begin is not None:
                    row["server_cpu_utilisation"] = glance.process.utilisation_since(begin)
        earlier = glance
        yield row


def _held(glance: Moment) -> Row:
    """What there was at the instant of the glance."""
    return {
        "rss_bytes": glance.process.rss_bytes,
        "threads": glance.process.threads,
        "executor_queue": glance.executor_queue,
    }


def _since(glance: Moment, past: Moment | None) -> Row:
    """What the loop did since an earlier instant; None: since the reset."""
    loop, earlier = glance.loop, None if past is None else past.loop
    before = {} if earlier is None else dict(earlier.delay_us)
    delays = Histogram()
    delays.add({us: n - before.get(us, 0) for us, n in loop.delay_us if n > before.get(us, 0)})
    row: Row = {"loop_delay_p99_ms": delays.statistics_ms()["p99"]}
    idle_before = 0 if earlier is None else earlier.idle_ns
    if loop.idle_ns is not None and idle_before is not None:
        wall_ns = loop.wall_ns - (0 if earlier is None else earlier.wall_ns)
        row["loop_utilisation"] = 1 - (loop.idle_ns - idle_before) / wall_ns
    return row


def histogram_rows(run_id: str, observed: Observed, loads: tuple[Load, ...]) -> Iterator[Row]:
    """The probe's histograms: of the whole process under the load `all`, of handlers by load."""
    if observed.probe is None:
        return
    wide = {
        "loop_delay": observed.probe.loop.delay_us,
        "executor_wait": observed.probe.executor.wait_us,
        "executor_run": observed.probe.executor.run_us,
        "pool_wait": observed.probe.pool.wait_us,
    }
    for quantity, pairs in wide.items():
        yield from bucket_rows(run_id, "all", quantity, from_pairs(pairs))
    for load in loads:
        handler = _handler_time(observed.probe, load)
        yield from bucket_rows(run_id, load.name, "handler_time", handler)


def bucket_rows(run_id: str, load: str, quantity: str, histogram: Histogram) -> Iterator[Row]:
    """A row a bucket that is not empty."""
    for upper_us, count in histogram.buckets().items():
        yield {
            "run_id": run_id,
            "load": load,
            "quantity": quantity,
            "upper_us": upper_us,
            "count": count,
        }
