"""SCENARIOS: the table says what it promises, and travels through the control pipe unchanged."""

from __future__ import annotations

import json

import pytest

from loopbench.loadtests.scenarios.models import Closed, Idle, Load, Open
from loopbench.loadtests.scenarios.table import DEFAULT_SCENARIOS, SCENARIOS
from loopbench.results.folder import folder as folders
from loopbench.results.folder import older_scenarios
from loopbench.results.schema import ROOT, Family
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.large_cases import case_of
from loopbench.servers.contract.routes import ROUTES
from loopbench.servers.contract.websockets import EXCHANGES, opening
from loopbench.servers.settings import Settings
from loopbench.servers.supervision.messages import MessageError, from_json, to_json

LEAST_WARMUP_S = 0.1
"""The shortest lead-in that `--warmup` takes."""

PROMISED: dict[str, tuple[str, Closed | None]] = {
    "async-32": ("async", Closed(32)),
    "sync-32": ("sync", Closed(32)),
    "async-1": ("async", Closed(1)),
    "plain-32": ("plain", Closed(32)),
    "form-32": ("form", Closed(32)),
    "waiting-1000": ("hello-waiting", Closed(1000, ramp_s=0.5)),
    "open-low": ("async", None),
    "open-high": ("async", None),
}
"""The Case and the model; None: an open loop, at a rate that experience sets."""


def every_load() -> list[Load]:
    """The loads of all scenarios, and one for each Case of the contract in both models."""
    loads = [load for scenario in SCENARIOS.values() for load in scenario.loads]
    for case in CASES.values():
        models = (Closed(7, 0.25), Closed(7, new_connections=True), Open(12.5, 3), Idle(4))
        loads += [Load(model.kind, case, model) for model in models]
    return loads


@pytest.mark.parametrize("name", PROMISED)
def test_a_default_scenario_offers_what_it_is_named_for(name: str) -> None:
    """Route, load model and users are those of the table above."""
    case, model = PROMISED[name]
    (load,) = SCENARIOS[name].loads
    assert (load.name, load.case) == ("main", CASES[case])
    assert isinstance(load.model, Open) if model is None else load.model == model


def test_the_high_rate_is_the_higher_one() -> None:
    """One rate for every stack, and one that only the faster holds: several times as high."""
    (low,), (high,) = SCENARIOS["open-low"].loads, SCENARIOS["open-high"].loads
    assert isinstance(low.model, Open)
    assert isinstance(high.model, Open)
    assert high.model.rate_rps >= 4 * low.model.rate_rps
    assert high.model.connections == low.model.connections


def test_the_defaults_hold_the_promised_scenarios() -> None:
    """What is measured unless others are named is known, named once, and leaves none out."""
    assert set(PROMISED) <= set(DEFAULT_SCENARIOS) <= set(SCENARIOS)
    assert len(set(DEFAULT_SCENARIOS)) == len(DEFAULT_SCENARIOS)


def test_waiting_users_wait_half_a_second() -> None:
    """The waiting scenario leaves the wait to the server, whose default is half a second; its
    lead-in holds the ramp and three whole waits, and its window five."""
    scenario = SCENARIOS["waiting-1000"]
    assert scenario.settings == Settings(wait_ms=500)
    assert "wait_ms" not in scenario.loads[0].case.request.target
    assert scenario.warmup_s >= 0.5 + 3 * 0.5
    assert scenario.measured_s >= 5 * 0.5


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_well_formed(name: str) -> None:
    """Its key is its name, it asks something, its loads have names of their own and right answers
    of the contract, and its ramp ends before its window begins."""
    scenario = SCENARIOS[name]
    assert scenario.name == name
    assert scenario.asks
    assert not any(character in name for character in '.,;" ')
    names = [load.name for load in scenario.loads]
    assert names
    assert len(set(names)) == len(names)
    for load in scenario.loads:
        if load.case.name in EXCHANGES:
            path = EXCHANGES[load.case.name].target.partition("?")[0]
            target = load.case.request.target
            assert target.partition("?")[0] == path
            assert load.case == opening(load.case.name, target)
            continue
        assert load.case is case_of(load.case.name)
        assert load.case.expected.status < 400
        path = load.case.request.target.partition("?")[0]
        assert any(path.startswith(route.path.partition("{")[0]) for route in ROUTES)
        if isinstance(load.model, Closed):
            assert 0 <= load.model.ramp_s <= max(scenario.warmup_s, LEAST_WARMUP_S)
        elif isinstance(load.model, Open):
            assert load.model.rate_rps > 0
        assert load.model.population >= 1


def test_every_load_survives_the_control_pipe() -> None:
    """A Load that went through JSON text is equal to the one that was sent: bodies, headers and
    patterns too."""
    for load in every_load():
        assert from_json(Load, json.loads(json.dumps(to_json(load)))) == load


def test_bodies_of_every_byte_survive() -> None:
    """All 256 byte values come back as they were."""
    case = CASES["json-not-utf8"]
    assert any(byte > 127 for byte in case.request.body)
    load = Load("main", case, Closed(1))
    assert from_json(Load, json.loads(json.dumps(to_json(load)))).case.request == case.request


def test_a_name_that_does_not_exist_is_an_error() -> None:
    """A model with an unknown or a missing field, or of an unknown kind, is not guessed at."""
    told = to_json(Load("main", CASES["plain"], Closed(1)))
    whole = told["model"]
    for wrong, why in (
        ({**whole, "speed": 2}, "Load.model: Closed: unknown 'speed'"),
        ({"kind": "open", "rate_rps": 5.0}, "Load.model: Open: 'connections' missing"),
        ({**whole, "kind": "ajar"}, "Load.model: unknown load model 'ajar', known: .*'closed'"),
        ({"users": 1}, "Load.model: unknown load model None"),
    ):
        with pytest.raises(MessageError, match=f"^{why}"):
            from_json(Load, {**told, "model": wrong})


def test_names_of_older_folders_say_what_the_columns_say_now() -> None:
    """A folder from before the columns is read as if it had them, scenario by scenario."""
    measured = {
        (run.scenario, run.load)
        for run in folders.load(ROOT / "results" / "reference").runs
        if run.scenario in SCENARIOS
    }
    assert len(measured) >= 50
    for name, load_name in sorted(measured):
        scenario = SCENARIOS[name]
        (load,) = (load for load in scenario.loads if load.name == load_name)
        facts = older_scenarios.facts_of("aiohttp", name, load_name)
        assert (
            facts["scenario_family"],
            facts.get("baseline_scenario") or "",
            facts.get("scenario_parameter"),
            facts["load_role"],
        ) == (
            scenario.family,
            scenario.baseline if scenario.family in _READ_AGAINST else "",
            scenario.parameter if scenario.family is not Family.RATES else None,
            load.role,
        ), name


_READ_AGAINST = {Family.SYNC, Family.NEIGHBOURS, Family.SLOW_READERS, Family.BROADCAST}
"""Families of which the report compares a scenario with its baseline."""
