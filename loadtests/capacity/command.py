"""`python -m loadtests capacity`: the highest rate at which an objective holds, of each stack."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from loopbench.cli_names import NameIn, names_of
from loopbench.cli_types import PERCENT, PROCESSES, SPAN, Folder, Parsed
from loopbench.loadtests import configuration
from loopbench.loadtests.bench.environment import shown_command
from loopbench.loadtests.capacity.measure import Capacity, run
from loopbench.loadtests.capacity.objective import Objective, parse
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.rows.results_folder import new_folder, writing_into
from loopbench.loadtests.scenarios.custom import options as custom_options
from loopbench.loadtests.scenarios.custom.scenarios import Own
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.http import Case
from loopbench.servers.promises import hole
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import (
    CORE,
    STACKS,
    Stack,
)
from loopbench.servers.supervision import own_modules

DEFAULT_CASE = "async"
BUDGET_S = 60.0
PRECISION = 0.04


@click.command(
    cls=configuration.NamedApplication, short_help="Find the highest rate that keeps an objective."
)
@click.option(
    "--slo",
    "objective",
    type=Parsed("objective", parse),
    required=True,
    metavar="OBJECTIVE",
    help="What is to be kept, such as 'p99<20ms': of response times from the intended start.",
)
@names_of("stack", STACKS, "Measure this stack (repeatable); the core stacks by default.")
@click.option(
    "--case",
    type=NameIn("case", CASES),
    help=f"What is asked for: a case of the contract, {DEFAULT_CASE} by default.",
)
@click.option(
    "--budget",
    type=SPAN,
    default=BUDGET_S,
    metavar="TIME",
    help=f"The longest that the trials of each stack may take; {BUDGET_S:g}s by default.",
)
@click.option(
    "--precision",
    type=PERCENT,
    default=PRECISION,
    metavar="PERCENT",
    help="Stop earlier where the 95 % interval of a limit reaches no further than this; "
    f"{PRECISION:.0%} by default.",
)
@PROCESSES
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Of order and arrivals.")
@click.option("--out", type=Folder(), metavar="DIR", help="A new folder by default.")
@custom_options.options
def capacity(
    objective: Objective,
    stacks: tuple[str, ...],
    case: str | None,
    budget: float,
    precision: float,
    processes: int,
    seed: int | None,
    out: Path | None,
    asked: custom_options.Asked,
) -> None:
    """Find the highest arrival rate at which each stack keeps an objective, or an
    application of yours.

    Poisson arrivals, at rates on both sides of the limit; the servers of all
    stacks are alive, and take turns. Ends with the limits, their 95 % intervals
    and ratios; the rows are in trials.csv.
    """
    own = custom_options.wanted(asked, bool(stacks or case), configuration.in_force())
    if own is None:
        measured, request = _of_suite(stacks or CORE, case or DEFAULT_CASE)
    else:
        measured, request = _of_own(own)
    folder = out or new_folder()
    with writing_into(folder):
        plan = Capacity(
            measured,
            request,
            objective,
            budget,
            precision,
            secrets.randbelow(2**31) if seed is None else seed,
            folder,
            tuple(shown_command(sys.argv[1:])),
            Settings(reuse_port=processes > 1),
            processes,
        )
        longest_s = len(measured) * budget
        click.echo(f"{objective}, {request.name}: at most {longest_s:.0f} s of trials", err=True)
        left_out = run(plan, lambda line: click.echo(line, err=True))
    # Of none there is no trial to show.
    status = (
        own_modules.run("results", "capacity", str(folder)) if set(measured) - set(left_out) else 0
    )
    if left_out:
        raise HarnessError(f"{len(left_out)} left out: {', '.join(left_out)}")
    sys.exit(status)


_Asked = tuple[Mapping[str, Stack], Case]
"""Whose limit is searched for, and of which request."""


def _of_suite(names: Sequence[str], case: str) -> _Asked:
    for name in names:
        why = hole(STACKS[name], CASES[case])
        if why is not None:
            raise click.UsageError(f"{name} cannot be asked for {case}: {why}")
    return {name: STACKS[name] for name in names}, CASES[case]


def _of_own(own: Own) -> _Asked:
    """Raises HarnessError where it is asked for more than one request: a limit is that of one."""
    cases = own.requests("a limit is one")
    if len(cases) > 1:
        raise HarnessError(
            f"a limit is that of one request, and these are {len(cases)} ({', '.join(cases)}); "
            "name one path by --get, or give a loads file with one by --scenarios"
        )
    return own.stacks, next(iter(cases.values()))
