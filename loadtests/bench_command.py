"""`python -m loadtests bench`: its options, and the bench that they ask for."""

from __future__ import annotations

import secrets
import shlex
import sys
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import click

from loopbench.cli_names import NameIn, names_of
from loopbench.cli_types import PERCENT, PROCESSES, SPAN, Folder, Seconds
from loopbench.command_line import fail, interrupted
from loopbench.loadtests import configuration
from loopbench.loadtests.bench.bench import Outcome, run_bench
from loopbench.loadtests.bench.environment import shown_command
from loopbench.loadtests.bench.plan import MOST_ROUNDS
from loopbench.loadtests.bench.specification import SLICED_S, Bench
from loopbench.loadtests.bench.starters import CHILDREN, OWN, WAYS
from loopbench.loadtests.distributed.options import (
    elsewhere_of,
    fleet_options,
    place_options,
)
from loopbench.loadtests.hosts.server_location import HERE
from loopbench.loadtests.rows.results_folder import new_folder, seed_of
from loopbench.loadtests.scenarios.custom import options as custom_options
from loopbench.loadtests.scenarios.table import DEFAULT_SCENARIOS, SCENARIOS
from loopbench.loadtests.services.command import stores_of
from loopbench.loadtests.why.instructions import after_bench as counts_after_bench
from loopbench.servers.stacks import CORE, DEFAULT, STACKS
from loopbench.servers.store_urls import without_secrets
from loopbench.servers.supervision import own_modules

_STACKS_UNDER = {CHILDREN: DEFAULT, OWN: CORE}
"""By who keeps the processes: the yardstick has no manager of its own."""
DEFAULT_ROUNDS = 5
FEWEST_ROUNDS = 3
"""Where Rounds are added: fewer give no interval."""

DEFAULT_BUDGET_S = 270.0
"""Five minutes with what comes before and after the load: counts of instructions, the report."""

DEFAULT_DURATION_S = 1.2
DEFAULT_WARMUP_S = 0.3
LONGEST_S = 3600.0
MOST_SEED = 2**63 - 1


@click.command(cls=configuration.Configured)
@names_of("stack", STACKS, "Measure this stack (repeatable).")
@names_of("scenario", SCENARIOS, "Offer this load (repeatable).")
@click.option(
    "--rounds",
    type=click.IntRange(1, MOST_ROUNDS),
    help=f"How often every cell is measured, each time in a fresh process; {DEFAULT_ROUNDS} by "
    f"default. With --precision or --budget: at the least, and {FEWEST_ROUNDS} by default.",
)
@click.option(
    "--precision",
    type=PERCENT,
    metavar="PERCENT",
    help="Add Rounds until the 95 % interval of every ratio reaches no further than this, as in "
    "3%; the Rounds go to the scenarios whose intervals are the widest.",
)
@click.option(
    "--budget",
    type=SPAN,
    metavar="TIME",
    help="Add Rounds in the same way, and end within this time, as in 120s or 5m. The default "
    f"scenarios are measured within {DEFAULT_BUDGET_S:g} s where neither is said, nor --rounds.",
)
@click.option(
    "--duration",
    type=Seconds(0.1, LONGEST_S),
    metavar="SECONDS",
    help=f"Length of the measured window of each Run; {DEFAULT_DURATION_S:g} by default, and "
    f"{SLICED_S:g} in all where it is measured in Slices.",
)
@click.option(
    "--slice",
    "slice_s",
    type=Seconds(0.02, LONGEST_S),
    metavar="SECONDS",
    help="Length of a Slice, in place of each scenario's own; and measure closed loops of your own "
    "application in Slices, its servers side by side, which makes ratios tighter where its answers "
    "take milliseconds.",
)
@click.option(
    "--warmup",
    type=Seconds(0.1, LONGEST_S),
    default=DEFAULT_WARMUP_S,
    show_default=True,
    metavar="SECONDS",
    help="Discarded lead-in before it; a scenario may need a longer one.",
)
@click.option(
    "--out",
    type=Folder(),
    metavar="DIR",
    help="Where the rows go; a new folder under results/runs by default.",
)
@click.option("--resume", is_flag=True, help="Go on with the unfinished run in --out.")
@click.option(
    "--redis",
    metavar="URL",
    help="A Redis for the servers to use, redis://…; by default nothing leaves their process. "
    "A password may come from REDISCLI_AUTH.",
)
@click.option(
    "--database",
    metavar="URL",
    help="A PostgreSQL for them to use, postgresql://…; by default a temporary SQLite. "
    "A password may come from PGPASSWORD or PGPASSFILE.",
)
@click.option(
    "--probe/--no-probe",
    default=True,
    show_default=True,
    help="Have the servers watch their loop, threads and executor.",
)
@click.option(
    "--keep-awake/--no-keep-awake",
    default=True,
    show_default=True,
    help="Keep idle CPUs from sleeping meanwhile, where the system allows that (Linux, root): how "
    "long they take to wake is the machine's, and changes.",
)
@click.option(
    "--instructions/--no-instructions",
    "counted",
    default=None,
    help="Count the instructions of a request after the loads, which needs valgrind; by default "
    "where the default scenarios are measured.",
)
@PROCESSES
@click.option(
    "--manager",
    type=NameIn("manager", WAYS),
    default=CHILDREN,
    show_default=True,
    help="Who keeps them: children of the bench, or the server's own manager (own).",
)
@click.option(
    "--seed",
    type=click.IntRange(0, MOST_SEED),
    help="Seed of the order of runs and of the arrivals; drawn and recorded by default.",
)
@custom_options.with_locustfile
@fleet_options
@place_options
def bench(
    stacks: tuple[str, ...],
    scenarios: tuple[str, ...],
    rounds: int | None,
    precision: float | None,
    budget: float | None,
    duration: float | None,
    slice_s: float | None,
    warmup: float,
    out: Path | None,
    resume: bool,
    probe: bool,
    keep_awake: bool,
    counted: bool | None,
    processes: int,
    manager: str,
    seed: int | None,
    asked: custom_options.Asked,
    redis: str | None,
    database: str | None,
    **elsewhere: Any,  # of fleet_options and place_options
) -> None:
    """Measure, and end with the table.

    Every stack is started afresh for every run, held to the contract, warmed
    up, measured and stopped. Rows are written as each run ends.
    """
    if resume and out is None:
        raise click.UsageError("--resume needs --out with the folder to go on with")
    configured = configuration.in_force()
    own = custom_options.wanted(asked, bool(stacks or scenarios), configured)
    if precision is None and budget is None and rounds is None and own is None and not scenarios:
        budget = DEFAULT_BUDGET_S
        counted = counted is None or counted
    folder = out or new_folder()
    fleet, place = elsewhere_of(**elsewhere)
    plan = Bench(
        stacks=stacks or (_STACKS_UNDER[manager] if own is None else tuple(own.stacks)),
        scenarios=scenarios or (DEFAULT_SCENARIOS if own is None else tuple(own.scenarios)),
        own=own,
        rounds=rounds
        or (DEFAULT_ROUNDS if precision is None and budget is None else FEWEST_ROUNDS),
        precision=precision,
        budget_s=budget,
        warmup_s=warmup,
        measured_s=duration or DEFAULT_DURATION_S,
        sliced_s=duration or SLICED_S,
        slice_s=slice_s,
        seed=_seed(seed, folder, resume),
        folder=folder,
        resume=resume,
        probe=probe,
        awake=keep_awake,
        command=tuple(shown_command([*sys.argv[1:], *configured.words()])),
        processes=processes,
        stores=stores_of(redis, database),
        manager=manager,
        fleet=fleet,
        place=place,
    )
    if plan.fleet is not None and any(
        not load.learned for name in plan.scenarios for load in plan.scenario(name).loads
    ):
        raise click.UsageError("the users of a locustfile are offered by one generator: no workers")
    if plan.place != HERE and WAYS[manager].here_only:
        raise click.UsageError(f"--manager {manager} keeps servers on this machine only")
    if slice_s is not None and not any(map(plan.sliced, plan.scenarios)):
        raise click.UsageError(f"--slice: {_why_whole(plan)}")
    if not plan.cells():
        raise click.UsageError(f"nothing of this can be measured: {_why_nothing(plan)}")
    click.echo(_announced(plan), err=True)
    try:
        outcome = run_bench(plan)
        if counted and own is None:
            counts_after_bench.count(plan, outcome.left_out, partial(click.echo, err=True))
    except KeyboardInterrupt:
        _interrupted([] if out else ["--out", str(folder)], [] if resume else ["--resume"])
    try:
        _show(outcome)
    except KeyboardInterrupt:
        again = shlex.join(["python", "-m", *_SHOW, str(outcome.folder)])
        interrupted(f"interrupted; all rows are there; the report is made by: {again}")


def _why_whole(plan: Bench) -> str:
    """Why none of a plan is measured in Slices."""
    if plan.fleet is not None:
        return "several workers offer whole Runs alone"
    if plan.place != HERE:
        return "servers elsewhere are measured in whole Runs alone"
    return (
        "none of these scenarios can be measured in Slices; a single closed loop whose users ask "
        "again at once can"
    )


def _why_nothing(plan: Bench) -> str:
    """Why a plan has no Run at all: the reasons, each once, with the first that it is about."""
    reasons: dict[str, str] = {}
    for stack, scenarios in plan.holes().items():
        for scenario, why in scenarios.items():
            reasons.setdefault(why, f"{stack} goes without {scenario}: {why}")
    return "; ".join(reasons.values()) or "these scenarios say nothing of a yardstick"


def _announced(plan: Bench) -> str:
    """How much is to be measured, and about how long it takes."""
    count = len(plan.cells()) * plan.rounds
    runs = "1 run" if count == 1 else f"{count} runs"
    if plan.budget_s is not None:
        return f"{runs}, and more while there is time: {_span(plan.budget_s, 1)} in all"
    time = f"about {_span(plan.expected_s())}"
    if plan.precision is not None:
        return f"at least {runs}, {time} or longer, until ±{plan.precision:.1%}"
    return f"{runs}, {time}"


def _span(seconds: float, places: int = 0) -> str:
    return f"{seconds / 60:.{places}f} minutes" if seconds >= 90 else f"{seconds:.0f} s"


def _seed(seed: int | None, folder: Path, resume: bool) -> int:
    """The seed asked for; that of the folder to be resumed; or a new one."""
    if seed is not None:
        return seed
    if resume:
        return seed_of(folder)
    return secrets.randbelow(2**31)


_SHOW = ("results", "show", "--report", "--update")
"""What a bench ends with: the table, and the files that are made from its rows."""


def _show(outcome: Outcome) -> None:
    """Table and report, made by the reading half from the folder alone."""
    status = own_modules.run(*_SHOW, str(outcome.folder))
    if outcome.loaded_share is not None:
        click.echo(
            f"The servers were under load for {outcome.loaded_share:.0%} of the time.", err=True
        )
    if outcome.broken:
        fail(f"{len(outcome.broken)} without figures: {outcome.broken[0]}")
    sys.exit(status)


def _interrupted(*more: list[str]) -> NoReturn:
    """Say how to go on with the folder: the same options, and `more`."""
    words = [without_secrets(word) for word in sys.argv[1:]]
    bare = "" if words == sys.argv[1:] else "credentials are left out here; "
    again = shlex.join([*own_modules.pasted("loadtests"), *words, *chain.from_iterable(more)])
    interrupted(f"interrupted; finished rows are kept; {bare}go on with: {again}")
