"""What a bench is to measure: the cells, how often, how long, and with what beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from loopbench.loadtests.bench.loads.resting import resting_times_s
from loopbench.loadtests.bench.starters import CHILDREN
from loopbench.loadtests.distributed.fleet import Fleet
from loopbench.loadtests.hosts.server_location import HERE, Place
from loopbench.loadtests.scenarios.custom.scenarios import Own
from loopbench.loadtests.scenarios.models import Load, Scenario
from loopbench.loadtests.scenarios.table import SCENARIOS
from loopbench.servers.contract.cases import COMPUTES_LONG
from loopbench.servers.contract.http import Case
from loopbench.servers.promises import (
    hole,
    keeps,
)
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import (
    STACKS,
    Stack,
)
from loopbench.servers.store_urls import without_password
from loopbench.servers.supervision.messages import Json

APART = (
    "without --redis URL a broadcast reaches the connections of one process only, and the server "
    "is several"
)
"""Why several processes go without the broadcasts."""

SLICED_S = 0.8
SLICED_WARMUP_S = 0.15
"""Of a Block in Slices, each Stack; most of what is left of a Block is the start of its servers."""

WATCHED_SHARE = 3 / 8
"""Of that time, how long the probe watches after it; no figure is taken from this."""

OVERHEAD_S = 1.0
"""About what starting, verifying and stopping a server adds to each Run."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What is to be measured. Times in seconds.

    warmup_s: lead-in of a Run where its scenario asks for no longer one.
    measured_s: the measured window, likewise. probe: whether the servers watch themselves.
    command: what the person typed, for the record. processes: of each server, on one port.
    manager: who keeps them, a key of WAYS.
    own: a person's own application, whose stacks and scenarios are then meant.
    fleet: the workers that share the loads; None: one generator.
    place: where the servers run. sliced_s: how long each Stack is loaded in a Block of Slices: what
    differs between Blocks is known by many of them, not by long ones. slice_s: of every scenario
    that is measured in Slices, in place of its own, and of the closed loops of a person's own
    application. precision: how far the interval of each ratio may reach, as a share of it;
    budget_s: how long the whole bench may take. With one of them Rounds are added where intervals
    are wide.
    awake: whether idle CPUs shall be kept from sleeping.
    stores: the URLs of stores that are there, by their name in
    Settings, for the servers to use in place of what they carry with them.
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
    processes: int = 1
    manager: str = CHILDREN
    own: Own | None = None
    fleet: Fleet | None = None
    place: Place = HERE
    sliced_s: float = SLICED_S
    slice_s: float | None = None
    precision: float | None = None
    budget_s: float | None = None
    stores: Mapping[str, str] = field(default_factory=dict)
    awake: bool = True

    def stack(self, name: str) -> Stack:
        """The row of that name."""
        return STACKS[name] if self.own is None else self.own.stacks[name]

    def scenario(self, name: str) -> Scenario:
        """The row of that name, with the stores that are named among its settings."""
        scenario = SCENARIOS[name] if self.own is None else self.own.scenarios[name]
        return replace(scenario, settings=self.with_stores(scenario.settings))

    def with_stores(self, settings: Settings) -> Settings:
        """The settings with the stores that are named."""
        return replace(
            settings,
            redis_url=self.stores.get("redis_url", settings.redis_url),
            database_url=self.stores.get("database_url", settings.database_url),
        )

    def cells(self) -> list[tuple[str, str]]:
        """Stack x scenario, without those that would say nothing of a yardstick, and those
        that a stack cannot keep."""
        holes = self.holes()
        return [
            (stack, scenario)
            for stack in self.stacks
            for scenario in self.scenarios
            if (self.scenario(scenario).yardstick or not self.stack(stack).yardstick)
            and scenario not in holes.get(stack, {})
        ]

    def holes(self) -> dict[str, dict[str, str]]:
        """By stack: the scenarios that are about a Case that it cannot keep, and why."""
        holes: dict[str, dict[str, str]] = {}
        for stack in self.stacks:
            for scenario in self.scenarios:
                loads = self.scenario(scenario).loads
                whys = (hole(self.stack(stack), load.case) or self._apart(load) for load in loads)
                why = next(filter(None, whys), None)
                if why is not None:
                    holes.setdefault(stack, {})[scenario] = why
        return holes

    def _apart(self, load: Load) -> str | None:
        """Why several processes do not keep a load that one does."""
        within = self.processes > 1 and "redis_url" not in self.stores
        return APART if within and load.model.one_process else None

    def promised(self, stack: str) -> list[Case]:
        """What a stack is held to before it is loaded: the contract but for its holes, or what
        was learned of a person's own application.

        What computes for long is asked only where it is loaded: as short it answers alike.
        """
        loads = [load for scenario in self.scenarios for load in self.scenario(scenario).loads]
        if self.own is None:
            left = COMPUTES_LONG - {load.case.name for load in loads}
            return [case for case in keeps(self.stack(stack)).values() if case.name not in left]
        return list({load.case.request: load.case for load in loads if load.learned}.values())

    @property
    def adaptive(self) -> bool:
        """Whether Rounds are added to the planned ones where intervals are wide."""
        return self.precision is not None or self.budget_s is not None

    def sliced(self, scenario: str) -> float | None:
        """The length of a scenario's Slices; None where its Runs stay whole.

        They do where several workers share a load, and for servers on another host, whose CPU
        time nobody here can read without asking them. Of a person's own application nobody knows
        how long its answers take, nor whether its servers may live side by side: its Runs stay
        whole unless a length is asked for.
        """
        asked, own = self.scenario(scenario), self.scenario(scenario).slice_s
        if self.own is not None and asked.may_be_sliced:
            own = self.slice_s
        if own is None or self.fleet is not None or self.place != HERE:
            return None
        return self.slice_s or own

    def turns(self, scenario: str) -> int:
        """How many Slices a Stack gets in a Round, that in which the probe watches left out; 0
        where Runs stay whole."""
        slice_s = self.sliced(scenario)
        if slice_s is None:
            return 0
        return max(self.scenario(scenario).least_turns, round(self.sliced_s / slice_s))

    @property
    def watched_s(self) -> float:
        """How long the probe then watches each Stack in a Block of Slices."""
        return WATCHED_SHARE * self.sliced_s if self.probe else 0.0

    @property
    def rests(self) -> bool:
        """Whether whole Runs are loaded once more with the probe at rest, for their CPU time.

        A person's own application is not asked twice, nor are several workers. Where the time is
        given, what is measured in Slices needs it more; a Warning then says what is in doubt.
        """
        return self.probe and self.own is None and self.fleet is None and self.budget_s is None

    @property
    def keeps_awake(self) -> bool:
        """Whether idle CPUs are kept from sleeping where the system allows it: only where server
        and generator are on this machine, since the others' CPUs would sleep."""
        elsewhere = self.place != HERE or (self.fleet is not None and self.fleet.remote)
        return self.awake and not elsewhere

    def users(self) -> dict[str, int]:
        """By scenario: how many users the busiest process on this machine offers. Those of every
        stack are connected at the same time where the scenario is offered in Slices."""
        if self.place != HERE and self.fleet is not None and self.fleet.remote:
            return dict.fromkeys(self.scenarios, 0)
        return {
            name: sum(load.model.population for load in self.scenario(name).loads)
            * (1 if self.sliced(name) is None else len(self.stacks))
            for name in self.scenarios
        }

    def expected_s(self) -> float:
        """About how long it will take: the loads, and a second around each, or what a person's own
        application takes."""
        around_s = max(OVERHEAD_S, 0.0 if self.own is None else self.own.around_s)
        return self.rounds * sum(
            self._loaded_s(scenario) + self.scenario(scenario).after_s + around_s
            for _, scenario in self.cells()
        )

    def _loaded_s(self, scenario: str) -> float:
        """How long a Run of the scenario is loaded, all lead-ins included."""
        lead_in_s, window_s = self.lead_in_s(scenario), self.window_s(scenario)
        slice_s = self.sliced(scenario)
        if slice_s is not None:
            return lead_in_s + self.turns(scenario) * slice_s + self.watched_s
        again_s = sum(resting_times_s(lead_in_s, window_s)) if self.rests else 0.0
        return lead_in_s + window_s + again_s

    def lead_in_s(self, scenario: str) -> float:
        """How long a Run of the scenario is loaded before anything counts."""
        sliced = self.sliced(scenario) is not None
        own = min(self.warmup_s, SLICED_WARMUP_S) if sliced else self.warmup_s
        return max(own, self.scenario(scenario).warmup_s)

    def window_s(self, scenario: str) -> float:
        """The measured window of a whole Run of the scenario."""
        return max(self.measured_s, self.scenario(scenario).measured_s)

    def to_json(self) -> Json:
        """The plan as plan.json keeps it; a folder is resumed with an equal one."""
        return {
            "stacks": list(self.stacks),
            "scenarios": list(self.scenarios),
            "rounds": self.rounds,
            "slices_s": {
                name: slice_s
                for name in self.scenarios
                if (slice_s := self.sliced(name)) is not None
            },
            **({} if self.precision is None else {"precision": self.precision}),
            **({} if self.budget_s is None else {"budget_s": self.budget_s}),
            "sliced_s": self.sliced_s,
            "warmup_s": self.warmup_s,
            "duration_s": self.measured_s,
            "seed": self.seed,
            "probe": self.probe,
            "runs": self.rounds * len(self.cells()),
            "cells": [list(cell) for cell in self.cells()],
            "rows_per_run": {name: len(self.scenario(name).loads) for name in self.scenarios},
            **({} if self.awake else {"awake": False}),
            # Said only where there are more: plans from before it did not say that it is one.
            **({} if self.processes == 1 else {"processes": self.processes}),
            **({} if self.manager == CHILDREN else {"manager": self.manager}),
            **({} if self.own is None else {"application": dict(self.own.described)}),
            **({} if self.fleet is None else self.fleet.to_json()),
            **({} if self.place == HERE else self.place.to_json()),
            **{name: without_password(url) for name, url in self.stores.items()},
        }
