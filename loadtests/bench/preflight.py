"""Before anything is loaded: each stack is started once, and the environment is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loopbench.loadtests.bench import environment
from loopbench.loadtests.bench.checks import verify
from loopbench.loadtests.bench.progress import Reporter
from loopbench.loadtests.bench.specification import Bench
from loopbench.loadtests.bench.starters import WAYS
from loopbench.loadtests.hosts.cpus import CpuPlan
from loopbench.loadtests.hosts.server_location import HERE
from loopbench.loadtests.observe import store_versions
from loopbench.loadtests.rows.results_folder import cannot_write
from loopbench.loadtests.scenarios.custom.waiting import telling
from loopbench.results.schema import ENVIRONMENT_FILE
from loopbench.servers.errors import ServerError
from loopbench.servers.lifecycle import parity
from loopbench.servers.promises import keeps_exchanges
from loopbench.servers.settings import Settings
from loopbench.servers.supervision.control_pipe import ControlError
from loopbench.servers.supervision.messages import Json, to_json


@dataclass(frozen=True, slots=True)
class Preflight:
    """What came of it.

    left_out: why a stack is not measured, by name. unequal: stacks that are not on equal terms.
    drifted: whether the environment is another than when the folder was begun.
    """

    left_out: Mapping[str, str]
    unequal: frozenset[str]
    drifted: bool


def run(bench: Bench, cpus: CpuPlan, awake: bool, log: Path, reporter: Reporter) -> Preflight:
    """Hold each stack to the whole contract, and ask what is in force in it.

    awake: whether idle CPUs are kept from sleeping.
    A stack that fails is left out, by name and with the reason. Raises HarnessError where the
    folder cannot be written.
    """
    try:
        log.touch()
    except OSError as error:
        raise cannot_write(bench.folder, log.name, error) from error
    described = environment.describe(cpus, list(bench.command), bench.seed, awake=awake)
    loads = [load for scenario in bench.scenarios for load in bench.scenario(scenario).loads]
    stores = store_versions.described(bench.stores, loads, here=bench.place == HERE)
    if stores:
        described["stores"] = stores
    _tell_quota(described["machine"]["cpu_quota"], reporter)
    bench.place.check()
    left_out: dict[str, str] = {}
    for name in bench.stacks:
        with telling(f"starting {name}, and asking what is in force in it"):
            wrong = _wrong(bench, name, cpus, log, reporter, described["stacks"])
        if wrong:
            left_out[name] = wrong[0] + (f" (and {len(wrong) - 1} more)" if wrong[1:] else "")
            reporter.note(line(name, left_out[name]))
    described["left_out"] = left_out
    _tell_holes(bench, described, reporter)
    described["parity"] = parity.table(described["stacks"])
    unequal = parity.unexplained(described["parity"])
    for name, settings in unequal.items():
        reporter.note(f"{name} is not on equal terms: {', '.join(settings)}")
    return Preflight(left_out, frozenset(unequal), _write(bench, described, reporter))


def line(name: str, why: str) -> str:
    """The words for a stack that is left out."""
    return f"{name} was left out: {why}"


def _wrong(
    bench: Bench, name: str, cpus: CpuPlan, log: Path, reporter: Reporter, facts: Json
) -> list[str]:
    """What is wrong with a stack. Where it started, its facts are added to `facts`."""
    stack, way = bench.stack(name), WAYS[bench.manager]
    asked = way.asked(bench.processes)
    obstacle = way.obstacle(stack)
    if obstacle is not None:
        return [f"cannot run here: {obstacle}"]
    reporter.run_begins(f"{name}: the contract")
    settings = bench.with_stores(Settings(reuse_port=bench.processes > asked))
    start = way.starter(bench.place)
    try:
        with start(stack, asked, settings=settings, cpus=cpus.server, log=log) as server:
            at = server.host, server.port
            wrong = verify.problems(*at, bench.promised(name))
            wrong += verify.socket_problems(*at, keeps_exchanges(stack).values())
            facts[name] = to_json(server.facts)
    except (ServerError, ControlError) as error:
        return [str(error)]
    if bench.own is None:
        return wrong
    otherwise = "it answers otherwise than before the bench"
    return [f"{otherwise}: {problem}; {verify.STATUS_ALONE}" for problem in wrong]


def _tell_quota(cpus: float | None, reporter: Reporter) -> None:
    """Say it where the CPU time is limited to less than there are CPUs."""
    known = os.cpu_count() or 1
    if cpus is not None and cpus < known:
        reporter.note(
            f"the CPU time of this process is limited to that of {cpus:g} of {known} CPUs; "
            f"executors of {Settings().executor_threads} threads are sized by the latter"
        )


def _tell_holes(bench: Bench, described: Json, reporter: Reporter) -> None:
    """Name what is not measured because a stack cannot keep it, and whose application it is."""
    holes = bench.holes()
    if holes:
        described["holes"] = holes
    for name, scenarios in holes.items():
        by: dict[str, list[str]] = {}
        for scenario, why in scenarios.items():
            by.setdefault(why, []).append(scenario)
        for why, without in by.items():
            reporter.note(f"{name} goes without {', '.join(without)}: {why}")
    if bench.own is not None:
        described["application"] = dict(bench.own.described)


def _write(bench: Bench, described: Json, reporter: Reporter) -> bool:
    """Write the environment; or, in a folder that is resumed, whether it has changed since."""
    before = environment.read(bench.folder)
    if before is None:
        try:
            environment.write(bench.folder, described)
        except OSError as error:
            raise cannot_write(bench.folder, ENVIRONMENT_FILE, error) from error
        return False
    changed = environment.drifted(before, described)
    if changed:
        reporter.note(f"changed since this folder was begun: {', '.join(changed)}")
    return bool(changed)
