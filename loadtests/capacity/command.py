"""`python -m loadtests capacity`: the highest rate at which an objective holds, of each stack."""

from __future__ import annotations

import secrets
import subprocess
import sys
from itertools import chain
from pathlib import Path

import click

from loopbench.loadtests.bench.environment import shown_command
from loopbench.loadtests.capacity.measure import Capacity, run
from loopbench.loadtests.capacity.objective import Objective, ObjectiveType
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.rows.results_folder import new_folder, writing_into
from loopbench.servers.contract.cases import CASES
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import CORE, STACKS, hole
from loopbench.servers.supervision import own_modules
from loopbench.servers.supervision.cli_names import NameIn, NamesIn
from loopbench.servers.supervision.cli_types import Folder, Percent, Span

MOST_PROCESSES = 64
BUDGET_S = 60.0
PRECISION = 0.04


@click.command()
@click.option(
    "--slo",
    "objective",
    type=ObjectiveType(),
    required=True,
    metavar="OBJECTIVE",
    help="What is to be kept, such as 'p99<20ms': of response times from the intended start.",
)
@click.option(
    "--stack",
    "stacks",
    multiple=True,
    type=NamesIn("stack", STACKS),
    help="Measure this stack (repeatable); the core stacks by default.",
)
@click.option(
    "--case",
    type=NameIn("case", CASES),
    default="async",
    show_default=True,
    help="What is asked for: a case of the contract.",
)
@click.option(
    "--budget",
    type=Span(),
    default=BUDGET_S,
    metavar="TIME",
    help=f"The longest that the trials of each stack may take; {BUDGET_S:g}s by default.",
)
@click.option(
    "--precision",
    type=Percent(),
    default=PRECISION,
    metavar="PERCENT",
    help="Stop earlier where the 95 % interval of a limit reaches no further than this; "
    f"{PRECISION:.0%} by default.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, MOST_PROCESSES),
    default=1,
    show_default=True,
    help="Run each server as so many processes that share a port.",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Of order and arrivals.")
@click.option("--out", type=Folder(), metavar="DIR", help="A new folder by default.")
def capacity(
    objective: Objective,
    stacks: tuple[tuple[str, ...], ...],
    case: str,
    budget: float,
    precision: float,
    processes: int,
    seed: int | None,
    out: Path | None,
) -> None:
    """Find the highest arrival rate at which each stack keeps an objective.

    Poisson arrivals, at rates on both sides of the limit; the servers of all
    stacks are alive, and take turns. Ends with the limits, their 95 % intervals
    and ratios; the rows are in trials.csv.
    """
    names = tuple(dict.fromkeys(chain.from_iterable(stacks))) or CORE
    for name in names:
        why = hole(STACKS[name], CASES[case])
        if why is not None:
            raise click.UsageError(f"{name} cannot be asked for {case}: {why}")
    folder = out or new_folder()
    with writing_into(folder):
        plan = Capacity(
            {name: STACKS[name] for name in names},
            CASES[case],
            objective,
            budget,
            precision,
            secrets.randbelow(2**31) if seed is None else seed,
            folder,
            tuple(shown_command(sys.argv[1:])),
            Settings(reuse_port=processes > 1),
            processes,
        )
        click.echo(f"{objective}, {case}: at most {len(names) * budget:.0f} s of trials", err=True)
        outcome = run(plan, lambda line: click.echo(line, err=True))
    shown = subprocess.run(
        own_modules.command("results", "capacity", str(folder)), env=own_modules.environment()
    )
    if outcome.left_out:
        raise HarnessError(f"{len(outcome.left_out)} left out: {', '.join(outcome.left_out)}")
    sys.exit(shown.returncode)
