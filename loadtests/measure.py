"""One Run: start, verify, warm up, measure, stop."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from loadtests import verify
from loadtests.calibration import calibrate
from loadtests.cpus import CpuPlan
from loadtests.errors import GeneratorDied
from loadtests.generator_process import Generator
from loadtests.plan import PlannedRun
from loadtests.procstat import own_cpu_s, read_machine
from loadtests.rows import Edge, RunResult
from loadtests.scenarios import Scenario, load_to_json
from results.schema import Code
from servers.control import ControlClosed, ControlError
from servers.errors import ServerError
from servers.process import Reading, ServerProcess, server_process

DRAIN_S = 5.0
"""How long requests in flight at the end of the window are waited for."""

TIMEOUT_S = 30.0
"""A request without an answer for this long has failed."""

SPEED_TOLERANCE = 0.25
"""How much the machine's speed may differ before and after a load."""

READ_BOUND_S = 2.0
"""How long the harness waits for a reading from inside a busy server."""


class Observer:
    """Reads server and machine at the edges of the measured window."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self.edges: dict[str, Edge] = {}
        self.unreadable = False

    def at(self, event: str) -> None:
        """Take the readings that belong to a generator's event."""
        self.edges[event] = Edge(self._read(), read_machine(), own_cpu_s())

    def _read(self) -> Reading | None:
        try:
            return self._server.read(READ_BOUND_S)
        except ControlClosed:
            return None  # the server has died; that is seen, and said, elsewhere
        except ControlError:
            self.unreadable = True
            return None


def measure(
    planned: PlannedRun,
    scenario: Scenario,
    generator: Generator,
    cpus: CpuPlan,
    *,
    warmup_s: float,
    measured_s: float,
    seed: int,
    log: Path | None,
) -> RunResult:
    """Carry out one Run; what happens to its server or to the generator is part of the result.

    Raises HarnessError for what is the harness's own fault.
    """
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    known = RunResult(planned, scenario, started_at, cpus.codes)
    try:
        with server_process(
            planned.stack, settings=scenario.settings, cpus=cpus.server, log=log
        ) as server:
            known = replace(known, start_ms=server.start_ms, first_answer_ms=server.first_answer_ms)
            cases = [load.case for load in scenario.loads]
            if verify.problems(server.host, server.port, cases):
                known = replace(known, codes=(*known.codes, Code.NOT_VERIFIED))
            else:
                known = _load(known, server, generator, cpus, warmup_s, measured_s, seed)
            ended = server.stop()
            killed = (Code.STOP_KILLED,) if ended.killed else ()
            return replace(known, ended=ended, codes=(*known.codes, *killed))
    except ServerError:
        return replace(known, codes=(*known.codes, Code.SERVER_NOT_READY))
    except GeneratorDied:
        return replace(known, codes=(*known.codes, Code.GENERATOR_DIED))


def _load(
    known: RunResult,
    server: ServerProcess,
    generator: Generator,
    cpus: CpuPlan,
    warmup_s: float,
    measured_s: float,
    seed: int,
) -> RunResult:
    scenario, observer = known.scenario, Observer(server)
    lead_in = max(warmup_s, scenario.warmup_s)
    command = {
        "host": server.host,
        "port": server.port,
        "loads": [load_to_json(load) for load in scenario.loads],
        "warmup_s": lead_in,
        "measured_s": measured_s,
        "drain_s": DRAIN_S,
        "timeout_s": TIMEOUT_S,
        "seed": seed,
    }
    before_ms = calibrate(cpus.server)
    report = generator.load(
        command,
        bound_s=lead_in + measured_s + DRAIN_S,
        at={event: partial(observer.at, event) for event in ("window-opened", "window-closed")},
        give_up=lambda: not server.alive,
    )
    after_ms = calibrate(cpus.server)
    codes = list(known.codes)
    if abs(after_ms / before_ms - 1) > SPEED_TOLERANCE:
        codes.append(Code.MACHINE_SPEED)
    if not server.alive:
        codes.append(Code.SERVER_DIED)
    if observer.unreadable:
        codes.append(Code.SERVER_NOT_READABLE)
    return replace(
        known,
        calibration_ms=(before_ms + after_ms) / 2,
        report=report,
        opened=observer.edges.get("window-opened"),
        closed=observer.edges.get("window-closed"),
        codes=tuple(codes),
    )
