"""The command `list` of `python -m loadtests`."""

from __future__ import annotations

import click

from loopbench.loadtests.scenarios.models import Scenario
from loopbench.loadtests.scenarios.table import DEFAULT_SCENARIOS, SCENARIOS
from loopbench.results.schema.json_forms import AS_JSON, json_text
from loopbench.results.schema.json_forms import SCENARIOS as FORM


@click.command("list")
@AS_JSON
def list_scenarios(as_json: bool) -> None:
    """The scenarios, with what each one asks."""
    if as_json:
        rows = [_as_json(scenario) for scenario in SCENARIOS.values()]
        click.echo(json_text({"schema": FORM.name, "scenarios": rows}))
        return
    width = max(map(len, SCENARIOS))
    for scenario in SCENARIOS.values():
        mark = "*" if scenario.name in DEFAULT_SCENARIOS else " "
        click.echo(f"{mark} {scenario.name:{width}}  {scenario.asks}")
        for load in scenario.loads:
            request = f"{load.case.request.method} {load.case.request.target}"
            click.echo(f"  {'':{width}}  {load.name}: {request}, {load.model.describe()}")
    click.echo("* measured unless others are named")


def _as_json(scenario: Scenario) -> dict[str, object]:
    return {
        "name": scenario.name,
        "asks": scenario.asks,
        "default": scenario.name in DEFAULT_SCENARIOS,
        "loads": [
            {
                "name": load.name,
                "case": load.case.name,
                "method": load.case.request.method,
                "target": load.case.request.target,
                "load_model": load.model.kind,
                "described": load.model.describe(),
            }
            for load in scenario.loads
        ],
    }
