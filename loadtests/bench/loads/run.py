"""One Run: start, verify, warm up, measure, stop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from loopbench.loadtests.bench.checks import verify
from loopbench.loadtests.bench.checks.own_failures import expect_own_resources
from loopbench.loadtests.bench.loads.calibration import calibrate
from loopbench.loadtests.bench.loads.resting import load_at_rest, resting_spec
from loopbench.loadtests.bench.loads.upstream import upstream_process, with_upstream
from loopbench.loadtests.bench.starters import CHILDREN, WAYS
from loopbench.loadtests.distributed.generator_process import Loader
from loopbench.loadtests.errors import GeneratorDied
from loopbench.loadtests.hosts.cpus import CpuPlan
from loopbench.loadtests.hosts.server_location import HERE, Place
from loopbench.loadtests.messages.reports import Report
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.loadtests.observe.observer import Observed, Observer
from loopbench.loadtests.observe.save_audit import Accounted, account
from loopbench.loadtests.observe.store_cpu import StoreCpu
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.run_result import RunResult
from loopbench.loadtests.scenarios.models import Scenario
from loopbench.results.schema import WARNING_SEPARATOR, Code
from loopbench.results.schema.warnings import SPEED_TOLERANCE
from loopbench.servers.errors import ServerError
from loopbench.servers.lifecycle.process import Ended
from loopbench.servers.managers.managed import Served
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.cpu_quota import cpu_quotas

DRAIN_S = 3.0
"""How long requests in flight at the end of the window are waited for."""

TIMEOUT_S = 30.0
"""A request without an answer for this long has failed."""


def measure(
    planned: PlannedRun,
    stack: Stack,
    scenario: Scenario,
    generator: Loader,
    cpus: CpuPlan,
    *,
    warmup_s: float,
    measured_s: float,
    seed: int,
    probe: bool,
    log: Path | None,
    rests: bool = False,
    processes: int = 1,
    manager: str = CHILDREN,
    place: Place = HERE,
) -> RunResult:
    """Carry out one Run; what happens to its server or to the generator is part of the result.

    rests: whether CPU time is read under a second load, while the probe rests.
    Raises HarnessError for what is the harness's own fault.
    """
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    known = RunResult(
        planned, scenario, started_at, cpus.codes, processes, yardstick=stack.yardstick
    )
    try:
        with (
            upstream_process(scenario.upstream, place, cpus, log) as upstream,
            WAYS[manager].starter(place)(
                stack,
                processes,
                settings=replace(with_upstream(scenario.settings, upstream), probe=probe),
                cpus=cpus.server,
                log=log,
            ) as server,
        ):
            known = replace(known, start_ms=server.start_ms, first_answer_ms=server.first_answer_ms)
            cases = [load.case for load in scenario.loads if load.learned]
            wrong = verify.problems(server.host, server.port, cases)
            if wrong:
                known = replace(known, codes=(*known.codes, Code.NOT_VERIFIED), cause=wrong[0])
            else:
                stores = StoreCpu(scenario.settings, scenario.loads) if server.one_clock else None
                observer = Observer(server, probe=probe, upstream=upstream, stores=stores)
                spec = _spec(server, scenario, warmup_s, measured_s, seed)
                known = _load(known, server, generator, cpus, spec, observer, rests=rests and probe)
            if upstream is not None and not upstream.alive:
                known = replace(known, codes=(*known.codes, Code.UPSTREAM_DIED))
            ended = server.stop()
            killed = (Code.STOP_KILLED,) if ended.killed else ()
            if Code.SERVER_DIED in known.codes:
                known = replace(known, cause=how_it_died(server, ended, place.via))
            return replace(known, ended=ended, codes=(*known.codes, *killed))
    except ServerError as error:
        return replace(known, codes=(*known.codes, Code.SERVER_NOT_READY), cause=str(error))
    except GeneratorDied as error:
        return replace(known, codes=(*known.codes, Code.GENERATOR_DIED), cause=str(error))


def _spec(
    server: Served, scenario: Scenario, warmup_s: float, measured_s: float, seed: int
) -> SessionSpec:
    return SessionSpec(
        host=server.host,
        port=server.port,
        loads=scenario.loads,
        warmup_s=warmup_s,
        measured_s=measured_s,
        drain_s=DRAIN_S,
        timeout_s=TIMEOUT_S,
        seed=seed,
    )


def how_it_died(server: Served, ended: Ended, via: tuple[str, ...] = ()) -> str:
    """In its own words where it had any; else by its exit status, or that of the command in front
    of it, which is all that can be seen of one elsewhere."""
    of = f" of {via[0]}, the command in front of it" if via else ""
    return server.failure or f"exit status {ended.exit_code}{of}"


def _load(
    known: RunResult,
    server: Served,
    generator: Loader,
    cpus: CpuPlan,
    spec: SessionSpec,
    observer: Observer,
    *,
    rests: bool,
) -> RunResult:
    scenario = known.scenario
    whole = known.processes == 1 or scenario.settings.database_url is not None
    saves = account(server.host, server.port, scenario.loads, whole=whole)
    before_ms = calibrate(cpus.server) if server.one_clock else None
    quotas = cpu_quotas()
    throttled = sum(quota.throttled() for quota in quotas)
    observer.begin()
    report = generator.load(
        spec,
        bound_s=spec.warmup_s + spec.measured_s + spec.drain_s,
        at=observer.at,
        give_up=lambda: not server.alive,
    )
    cut_off = sum(quota.throttled() for quota in quotas) > throttled
    observer.end(report, scenario.loads)
    observer.compare_windows(report.measured_s)
    expect_own_resources(report)
    accounted = None if saves is None else saves.close(report)
    if not server.one_clock or (report.fleet is not None and not report.fleet.one_clock):
        observer.observed.instants.clear()  # splitting a latency into parts needs a shared clock
    after_ms = calibrate(cpus.server) if server.one_clock else None
    if scenario.after_s:
        time.sleep(scenario.after_s)
        observer.later()
    at_rest = None
    if rests and server.alive:
        at_rest = load_at_rest(server, observer, generator, resting_spec(spec))
    return replace(
        known,
        calibration_ms=(before_ms + after_ms) / 2 if before_ms and after_ms else None,
        report=report,
        cause=_who_was_lost(report) or _what_was_lost(accounted) or known.cause,
        accounted=accounted,
        server_here=server.one_clock,
        observed=observer.observed,
        at_rest=at_rest,
        codes=(
            *known.codes,
            *after_the_load(server, observer.observed, before_ms, after_ms),
            *_of_the_workers(report),
            *((Code.CPU_THROTTLED,) if cut_off else ()),
            *((accounted.code,) if accounted is not None and accounted.code else ()),
        ),
    )


def after_the_load(
    server: Served, observed: Observed, before_ms: float | None, after_ms: float | None
) -> Iterator[Code]:
    """Warnings about the Run as a whole."""
    if before_ms and after_ms and abs(after_ms / before_ms - 1) > SPEED_TOLERANCE:
        yield Code.MACHINE_SPEED
    if not server.alive:
        yield Code.SERVER_DIED
    if observed.unreadable:
        yield Code.SERVER_NOT_READABLE
    if observed.probe is not None and observed.probe.failure is not None:
        yield Code.PROBE_FAILED


_OF_THE_RUN = (Code.WORKER_LOST, Code.WORKER_LATE, Code.WORKER_SILENT)


def _of_the_workers(report: Report) -> Iterator[Code]:
    """Warnings about a worker that are about the Run; the others are judged on all together."""
    warnings_by_worker = [row.warnings or "" for row in report.workers]
    for code in _OF_THE_RUN:
        if any(code in warnings.split(WARNING_SEPARATOR) for warnings in warnings_by_worker):
            yield code


def _what_was_lost(accounted: Accounted | None) -> str | None:
    """Which saves are not as they should be; None where all are, or nobody knows."""
    if accounted is None or accounted.code is not Code.SAVES_DIFFER:
        return None
    return f"{accounted.reason}: {accounted.detail}"


def _who_was_lost(report: Report) -> str | None:
    """The workers that were lost, with why; None where none was."""
    lost = [row for row in report.workers if row.users and row.gone]
    return "; ".join(f"worker {row.worker} on {row.host}: {row.gone}" for row in lost) or None
