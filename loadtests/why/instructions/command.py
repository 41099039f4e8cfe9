"""`python -m loadtests instructions`: count the instructions of a request."""

from __future__ import annotations

from pathlib import Path

import click

from loopbench.cli_names import names_of
from loopbench.cli_types import Folder
from loopbench.loadtests.observe.request_counts import REQUESTS
from loopbench.loadtests.rows.results_folder import alone_in
from loopbench.loadtests.why.instructions import counts as instruction_counts
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.routes import LAYERS, PROTECTIONS
from loopbench.servers.stacks import CORE, STACKS

DEFAULT_CASES = (
    *("plain", "async", "sync", "form", "json"),
    *(f"middleware-{layers}" for layers in LAYERS),
    *(f"save-{protect}" for protect in PROTECTIONS),
)


@click.command(short_help="Count the instructions of a request.")
@names_of("stack", STACKS, "Count on this stack (repeatable).")
@names_of("case", CASES, "Count this case of the contract (repeatable).")
@click.option("--requests", type=click.IntRange(10, 100_000), default=REQUESTS, show_default=True)
@click.option(
    "--out",
    type=Folder(exists=True),
    metavar="DIR",
    help="Write counts.csv into this results folder too; its report then says it.",
)
@click.option(
    "--tunables",
    metavar="TUNABLES",
    help="Give the C library these tunables, such as 'glibc.cpu.hwcaps=-AVX2,-ERMS', or none (''), "
    "in place of those with which it takes every processor for the same.",
)
def instructions(
    stacks: tuple[str, ...],
    cases: tuple[str, ...],
    requests: int,
    out: Path | None,
    tunables: str | None,
) -> None:
    """Count the instructions of a request, which do not depend on the state of the machine.

    Needs valgrind. Without names: the core stacks, and the routes whose layers
    can be told apart. Each repeat is a fresh process, whose garbage collector is
    off; each request finds it asleep.
    """
    if tunables is not None and out is not None:
        raise click.UsageError(
            "counts with --tunables hold for one processor, and no results folder keeps them; "
            "leave out --out or --tunables"
        )
    variables = () if tunables is None else (f"GLIBC_TUNABLES={tunables}",)
    with alone_in(out):
        counts = instruction_counts.count(
            stacks or CORE, cases or DEFAULT_CASES, requests, click.echo, variables=variables
        )
        if out is not None:
            instruction_counts.write(out, counts)
