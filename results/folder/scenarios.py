"""What the rows say of scenarios and loads: what they are about, and how a reader names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from loopbench.results.folder.folder import RunRow
from loopbench.results.schema import Family, Role

Where = tuple[str, str]
"""Scenario and load."""


@dataclass(frozen=True, slots=True)
class LoadFacts:
    """The columns of `schema.scenarios` of one load. Blank or None: there is none."""

    family: str
    variant: str
    parameter: float | None
    baseline: str
    measured: bool
    dispatch: str
    work: str
    work_ms: float | None

    @property
    def is_rate(self) -> bool:
        """Whether the load stands for itself, with no other scenario to compare it with."""
        return self.measured and self.family in (Family.RATES, Family.CUSTOM)


def facts_by_load(rows: Iterable[RunRow]) -> Mapping[Where, LoadFacts]:
    """The facts of each scenario and load, from the first of its rows."""
    first: dict[Where, RunRow] = {}
    for row in rows:
        first.setdefault(row.where, row)
    return MappingProxyType({where: _facts(row) for where, row in first.items()})


def _facts(row: RunRow) -> LoadFacts:
    def text(column: str) -> str:
        return str(row.values.get(column) or "")

    return LoadFacts(
        text("scenario_family"),
        text("scenario_variant"),
        row.number("scenario_parameter"),
        text("baseline_scenario"),
        text("load_role") != Role.BURDEN,
        text("dispatch"),
        text("work"),
        row.number("work_ms"),
    )


def names_of(facts: Mapping[Where, LoadFacts]) -> Mapping[Where, str]:
    """How each load is called: the scenario alone where it is the only one that the scenario
    asks about, else with the load's own name."""
    measured: dict[str, int] = {}
    for (scenario, _), load_facts in facts.items():
        measured[scenario] = measured.get(scenario, 0) + load_facts.measured
    return {
        (scenario, load): scenario
        if load_facts.measured and measured[scenario] == 1
        else f"{scenario}/{load}"
        for (scenario, load), load_facts in facts.items()
    }


def first_loads(wheres: Iterable[Where]) -> tuple[Where, ...]:
    """The first load of each scenario, for what is read once a Run."""
    by_scenario: dict[str, Where] = {}
    for where in wheres:
        by_scenario.setdefault(where[0], where)
    return tuple(by_scenario.values())
