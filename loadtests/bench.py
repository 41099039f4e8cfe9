"""A bench from beginning to end: plan, preflight, every Run, its rows."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from loadtests import environment, verify
from loadtests.cpus import allowed_cpus, plan_cpus
from loadtests.errors import HarnessError
from loadtests.generator_process import Generator, generator_process
from loadtests.measure import measure
from loadtests.plan import PlannedRun, arrivals_seed, plan_runs
from loadtests.progress import Reporter, reporting
from loadtests.rows import rows_of
from loadtests.scenarios import SCENARIOS
from loadtests.store import Store, cannot_write, open_store
from results.schema import ENVIRONMENT_FILE, Code
from servers.control import ControlError
from servers.errors import ServerError
from servers.process import server_process
from servers.settings import Settings
from servers.stacks import STACKS, keeps, keeps_exchanges, lacks

LOG_FILE = "log.txt"
DEATHS_IN_A_ROW = 3
OVERHEAD_S = 1.0
"""About what starting, verifying and stopping a server adds to each Run."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What is to be measured. Times in seconds.

    warmup_s: lead-in of a Run where its scenario asks for no longer one.
    measured_s: the measured window. probe: whether the servers watch themselves.
    command: what the person typed, for the record. redis_url, database_url: stores that are
    there, for the servers to use in place of what they carry with them.
    """

    stacks: tuple[str, ...]
    scenarios: tuple[str, ...]
    rounds: int
    warmup_s: float
    measured_s: float
    seed: int
    folder: Path
    resume: bool
    probe: bool
    command: tuple[str, ...]
    redis_url: str | None = None
    database_url: str | None = None

    @property
    def stores(self) -> dict[str, str]:
        """The stores that are named, as Settings have them."""
        named = {"redis_url": self.redis_url, "database_url": self.database_url}
        return {name: url for name, url in named.items() if url is not None}

    def told(self, settings: Settings) -> Settings:
        """The settings of a scenario, with the stores that are named."""
        redis_url, database_url = self.redis_url, self.database_url
        return replace(settings, redis_url=redis_url, database_url=database_url)

    def cells(self) -> list[tuple[str, str]]:
        """Stack x scenario, without those that would say nothing of a yardstick, or that ask for
        what the stack does not have."""
        return [
            (stack, scenario)
            for stack in self.stacks
            for scenario in self.scenarios
            if (SCENARIOS[scenario].yardstick or not STACKS[stack].yardstick)
            and not any(lacks(STACKS[stack], load.case) for load in SCENARIOS[scenario].loads)
        ]

    def expected_s(self) -> float:
        """About how long it will take: the loads, and a second around each."""
        return self.rounds * sum(
            max(self.warmup_s, SCENARIOS[scenario].warmup_s)
            + self.measured_s
            + SCENARIOS[scenario].after_s
            + OVERHEAD_S
            for _, scenario in self.cells()
        )

    def to_json(self) -> dict[str, Any]:
        """The plan as plan.json keeps it; a folder is resumed with an equal one."""
        return {
            "stacks": list(self.stacks),
            "scenarios": list(self.scenarios),
            "rounds": self.rounds,
            "warmup_s": self.warmup_s,
            "duration_s": self.measured_s,
            "seed": self.seed,
            "probe": self.probe,
            "runs": self.rounds * len(self.cells()),
            "cells": [list(cell) for cell in self.cells()],
            "rows_per_run": {name: len(SCENARIOS[name].loads) for name in self.scenarios},
            **{name: _without_password(url) for name, url in self.stores.items()},
        }


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a bench went.

    broken: Runs without figures, and stacks left out, a line each.
    loaded_share: warm-up and measurement as a share of the whole time; None
    where nothing was loaded.
    """

    folder: Path
    broken: tuple[str, ...]
    loaded_share: float | None


_UNUSABLE = {
    Code.NOT_VERIFIED: "broke the contract and was not loaded",
    Code.SERVER_NOT_READY: "did not become ready",
    Code.SERVER_DIED: "died under load",
    Code.GENERATOR_DIED: "lost its load generator",
}


def run_bench(bench: Bench) -> Outcome:
    """Measure everything that is planned and not yet measured.

    Rows are written as each Run ends, so that whatever breaks later takes
    nothing back. Raises HarnessError with cause and remedy.
    """
    began = time.monotonic()
    planned = plan_runs(bench.cells(), bench.rounds, bench.seed)
    with (
        open_store(bench.folder, bench.to_json(), resume=bench.resume) as store,
        reporting(len(planned), len(store.finished)) as reporter,
        Bencher(bench, store, reporter) as bencher,
    ):
        bencher.preflight()
        for run in planned:
            if run.run_id not in store.finished and run.stack not in bencher.left_out:
                bencher.run(run)
    took_s = time.monotonic() - began
    share = bencher.loaded_s / took_s if bencher.loaded_s else None
    return Outcome(bench.folder, tuple(bencher.broken), share)


class Bencher:
    """The state of a bench under way: its generator, what broke, what was left out."""

    def __init__(self, bench: Bench, store: Store, reporter: Reporter) -> None:
        self._bench = bench
        self._store = store
        self._reporter = reporter
        self._cpus = plan_cpus(allowed_cpus())
        self._log = bench.folder / LOG_FILE
        self._generators = ExitStack()
        self._generator: Generator | None = None
        self._deaths = 0
        self._drift: tuple[Code, ...] = ()
        self.broken: list[str] = []
        self.left_out: dict[str, str] = {}
        self.loaded_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._generators.close()

    def preflight(self) -> None:
        """Start each stack once: hold it to the whole contract, and ask what is in force in it.

        A stack that fails is left out, by name and with the reason.
        """
        try:
            self._log.touch()
        except OSError as error:
            raise cannot_write(self._bench.folder, LOG_FILE, error) from error
        described = environment.describe(self._cpus, list(self._bench.command), self._bench.seed)
        for name in self._bench.stacks:
            self._reporter.run_begins(f"{name}: the contract")
            try:
                settings = self._bench.told(Settings())
                with server_process(
                    name, settings=settings, cpus=self._cpus.server, log=self._log
                ) as server:
                    stack, at = STACKS[name], (server.host, server.port)
                    wrong = verify.problems(*at, keeps(stack).values())
                    wrong += verify.socket_problems(*at, keeps_exchanges(stack).values())
                    described["stacks"][name] = server.facts
            except (ServerError, ControlError) as error:
                wrong = [str(error)]
            if wrong:
                self._leave_out(name, wrong)
        described["left_out"] = self.left_out
        self._write_environment(described)

    def _leave_out(self, name: str, wrong: list[str]) -> None:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        self.left_out[name] = wrong[0] + more
        self.broken.append(f"{name} was left out: {wrong[0]}{more}")
        self._reporter.note(self.broken[-1])

    def _write_environment(self, described: dict[str, Any]) -> None:
        """Write it, or, in a folder that is resumed, see what has changed since it was begun."""
        before = environment.read(self._bench.folder)
        if before is None:
            try:
                environment.write(self._bench.folder, described)
            except OSError as error:
                raise cannot_write(self._bench.folder, ENVIRONMENT_FILE, error) from error
            return
        changed = environment.drifted(before, described)
        if changed:
            self._drift = (Code.ENVIRONMENT_DRIFT,)
            self._reporter.note(f"changed since this folder was begun: {', '.join(changed)}")

    def run(self, planned: PlannedRun) -> None:
        """Measure one Run and write its rows."""
        self._reporter.run_begins(planned.run_id)
        scenario = SCENARIOS[planned.scenario]
        scenario = replace(scenario, settings=self._bench.told(scenario.settings))
        warmup_s = max(self._bench.warmup_s, scenario.warmup_s)
        result = measure(
            planned,
            scenario,
            self._live_generator(),
            self._cpus,
            warmup_s=warmup_s,
            measured_s=self._bench.measured_s,
            seed=arrivals_seed(self._bench.seed, planned.round),
            probe=self._bench.probe,
            log=self._log,
        )
        result = replace(result, codes=(*result.codes, *self._drift))
        self._store.add(rows_of(result))
        if result.report is not None:
            self.loaded_s += warmup_s + self._bench.measured_s
        because = f": {result.cause}" if result.cause else ""
        wrong = [
            f"{planned.run_id} {text}{because}"
            for code, text in _UNUSABLE.items()
            if code in result.codes
        ]
        self.broken += wrong
        self._reporter.run_ends("; ".join(wrong) or None)
        self._mourn(Code.GENERATOR_DIED in result.codes)

    def _live_generator(self) -> Generator:
        """The one long-lived generator; a new one where the last has died."""
        if self._generator is None or not self._generator.alive:
            self._generators.close()
            self._generator = self._generators.enter_context(
                generator_process(cpus=self._cpus.generator, log=self._log)
            )
        return self._generator

    def _mourn(self, died: bool) -> None:
        self._deaths = self._deaths + 1 if died else 0
        if died:  # or fell silent, and must not be asked for another load
            self._generators.close()
            self._generator = None
        if self._deaths >= DEATHS_IN_A_ROW:
            raise HarnessError(
                f"the load generator died {self._deaths} times in a row; "
                f"{self._log} has its last words"
            )
