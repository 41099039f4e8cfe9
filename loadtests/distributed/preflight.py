"""What is worth knowing of the hosts before a long run: `python -m loadtests check-hosts`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from loopbench.loadtests.distributed.fleet import Fleet, FleetGenerator, fleet_process
from loopbench.loadtests.hosts.cpus import bindable_cpus, plan_cpus, share_cpus
from loopbench.loadtests.hosts.host_info import HostInfo, host_info, source_version
from loopbench.loadtests.hosts.open_files import A_USER, BESIDE_USERS
from loopbench.loadtests.hosts.server_location import Place
from loopbench.loadtests.messages.generator import GatheredWorker, WindowClosed, WindowOpened
from loopbench.loadtests.messages.reports import WorkerRow
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.loadtests.rows.histogram import from_pairs
from loopbench.loadtests.scenarios.models import Closed, Load, Scenario
from loopbench.loadtests.scenarios.table import SCENARIOS
from loopbench.results.schema.warnings import GENERATOR_CPU_LIMIT
from loopbench.servers.contract.cases import CASES
from loopbench.servers.lifecycle.process import ServerProcess

TRIAL_STACK = "asyncio"
"""The trivial responder: what it reaches is what the hosts and the network can do."""

TRIAL_USERS = 32
TRIAL_S = 1.0
WARMUP_S = 0.3
TIME_WAIT_S = 60
"""How long Linux keeps the port of a connection that this side closed (TCP_TIMEWAIT_LEN)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A short load of `users` by all workers together. Times in ms, rate in requests a second."""

    users: int
    rate_rps: float
    failures: int
    service_p50_ms: float | None
    busiest_cpu: float
    server_cpu: float
    workers: tuple[WorkerRow, ...]


Say = Callable[[str], None]


def check_hosts(fleet: Fleet, place: Place, say: Say) -> list[str]:
    """Look at every host, try a short load, and say what there is and what will limit.

    Returns what must be mended before a run, a line each. Raises HarnessError where a host
    cannot be reached, and ServerError where the server does not start there.
    """
    at_server = place.facts() if place.via else host_info()
    plan = place.cpus_of(plan_cpus(bindable_cpus()))
    cpus, shared = share_cpus(plan, bindable_cpus(), 0 if fleet.remote else fleet.workers)
    say(f"server: {described(at_server)}")
    with fleet_process(fleet, cpus=cpus, log=None, say=say) as running:
        workers = running.await_workers(bound_s=10.0)
        for worker in workers:
            say(f"worker {worker.name}: {described(worker.host)}")
        with place.server(TRIAL_STACK, cpus=plan.server, log=None) as server:
            single = try_load(running, server, fleet.workers)
            many = try_load(running, server, TRIAL_USERS * fleet.workers)
    for line in (*network(single), *ceiling(many, shared=bool(shared))):
        say(line)
    wrong = list(problems(at_server, workers, single, many))
    for line in limits(at_server, workers):
        say(line)
    return wrong


def described(host: HostInfo) -> str:
    """A host in one line."""
    count = len(host.cpus) if host.cpus else "unknown"
    parts = [
        f"Python {host.python}",
        host.kernel,
        f"{count} CPUs for it ({host.cpu_model or 'unknown model'})",
        f"load {host.load:.2f}",
        f"{host.files:,} files",
    ]
    if host.ports:
        parts.append("ports {}-{}".format(*host.ports))
    return f"{host.host}, {', '.join(parts)}"


def try_load(running: FleetGenerator, server: ServerProcess, users: int) -> Trial:
    """So many users in a closed loop for a second."""
    readings = []
    spec = SessionSpec(
        host=server.host,
        port=server.port,
        loads=(Load("main", CASES["plain"], Closed(users)),),
        warmup_s=WARMUP_S,
        measured_s=TRIAL_S,
        drain_s=3.0,
        timeout_s=10.0,
        seed=1,
    )

    def read() -> None:
        readings.append(server.read())

    report = running.load(
        spec,
        bound_s=WARMUP_S + TRIAL_S + 3.0,
        at={WindowOpened: read, WindowClosed: read},
        give_up=lambda: not server.alive,
    )
    load_report, fleet = report.loads["main"], report.fleet
    assert fleet is not None
    before, after = readings
    return Trial(
        users,
        load_report.completed / report.measured_s,
        load_report.measured.failed,
        from_pairs(load_report.measured.times.service_time or ()).statistics_ms()["p50"],
        fleet.busiest_cpu or 0.0,
        after.utilisation_since(before),
        fleet.workers,
    )


def network(single: Trial) -> Iterator[str]:
    """How far it is to the server, and to the master."""
    if single.service_p50_ms is not None:
        yield (
            "to the server and back, one user a worker: median service time "
            f"{single.service_p50_ms:.3f} ms"
        )
    bounds = [worker.offset_bound_ms for worker in single.workers]
    known = [bound for bound in bounds if bound is not None]
    if known:
        yield (
            f"to the master and back: {2 * max(known):.3f} ms at most, so that the workers' "
            f"clocks are known within {max(known):.3f} ms"
        )


def ceiling(many: Trial, *, shared: bool) -> Iterator[str]:
    """What all can do together, and who has no CPU left. shared: whether workers share CPUs, so
    that one may wait for another with most of a CPU unused by itself."""
    yield (
        f"{many.users} users against the trivial responder: {many.rate_rps:,.0f} requests/s; "
        f"busiest worker {many.busiest_cpu:.0%} of a CPU, server {many.server_cpu:.0%}"
    )
    if many.busiest_cpu >= GENERATOR_CPU_LIMIT:
        yield "the workers limit: more of them, on CPUs of their own, would offer more"
    elif many.server_cpu >= GENERATOR_CPU_LIMIT:
        yield "the server's CPU limits: the workers have some left"
    elif shared:
        yield (
            "there are more workers than CPUs for them: they wait for each other, and add no load "
            "that one a CPU would not"
        )
    else:
        yield "neither workers nor server ran out of CPU: the round trip limits, or the network"


def limits(at_server: HostInfo, workers: Sequence[GatheredWorker]) -> Iterator[str]:
    """What the settings of the hosts allow."""
    largest = max(SCENARIOS.values(), key=_connections)
    each = -(-_connections(largest) // len(workers))
    files = min(worker.host.files for worker in workers)
    yield (
        f"connections: {(files - BESIDE_USERS) // A_USER:,} a worker, "
        f"{at_server.files - BESIDE_USERS:,} at the server; "
        f"the largest scenario, {largest.name}, needs {each:,} and {_connections(largest):,}"
    )
    hosts = {worker.host.host: worker.host.ports for worker in workers if worker.host.ports}
    if hosts:
        ports = sum(last - first + 1 for first, last in hosts.values())
        yield (
            f"ephemeral ports: {ports:,} on {len(hosts)} load hosts: so many connections at a time "
            f"to one server address at most, and {ports / TIME_WAIT_S:,.0f} new ones a second "
            f"for longer than {TIME_WAIT_S} s"
        )


def problems(
    at_server: HostInfo, workers: Sequence[GatheredWorker], single: Trial, many: Trial
) -> Iterator[str]:
    """What must be mended first."""
    if at_server.source != source_version():
        yield f"the server's host runs {at_server.source} of the suite, not {source_version()}"
    most = max(_connections(scenario) for scenario in SCENARIOS.values())
    each = -(-most // len(workers))
    for worker in workers:
        if worker.host.files - BESIDE_USERS < each * A_USER:
            yield f"worker {worker.name} may open {worker.host.files} files only: raise ulimit -n"
    if at_server.files - BESIDE_USERS < most:
        yield f"the server may open {at_server.files} files only: raise ulimit -n there"
    for trial in (single, many):
        if trial.failures or not trial.rate_rps:
            yield f"{trial.failures} requests of {trial.users} users failed"
        for row in trial.workers:
            if row.warnings and "worker-" in row.warnings:
                yield f"worker {row.worker} on {row.host}: {row.warnings}"


def _connections(scenario: Scenario) -> int:
    return sum(load.model.population for load in scenario.loads)
