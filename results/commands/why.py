"""`python -m results why`: what a request costs, by function, from the rows of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopbench.results.commands.run import names_of_the_user, note
from loopbench.results.errors import ResultsError
from loopbench.results.schema.json_forms import AS_JSON, json_text
from loopbench.results.stats.plain_text import plain

if TYPE_CHECKING:
    from loopbench.results.why.costs import Costs


@click.command(short_help="Where the instructions of a request go.")
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option(
    "--by",
    type=click.Choice(["package", "module", "function", "kind", "phase"]),
    default="package",
    show_default=True,
    help="What the instructions are summed by.",
)
@click.option(
    "--between",
    "pair",
    nargs=2,
    metavar="STACK STACK",
    help="Show where two stacks differ, the largest difference first.",
)
@click.option(
    "--phase", metavar="PHASE", help="Show the functions that work in this phase, such as routing."
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Name the functions that grew or shrank since this run, stack by stack.",
)
@click.option("--no-page", is_flag=True, help="Leave out why.html, with its flame graphs.")
@AS_JSON
def why(
    run: Path | None,
    by: str,
    pair: tuple[str, str] | None,
    phase: str | None,
    against: Path | None,
    no_page: bool,
    as_json: bool,
) -> None:
    """Say where the instructions of a request go, and write why.html with its flame graphs.

    RUN is a folder with costs.csv; by default the newest. With --json no page is written.
    """
    from loopbench.results.why import costs as reading
    from loopbench.results.why import document, terminal
    from loopbench.results.why.phases import PHASES

    if sum(asked is not None for asked in (pair, phase, against)) > 1:
        raise click.UsageError("--between, --phase and --against are three questions; ask one")
    if phase is not None and phase not in PHASES:
        raise click.UsageError(f"no phase {phase!r}; there are: {', '.join(PHASES)}")
    with names_of_the_user():
        folder = reading.find(run)
        costs = _read(folder)
        pairs: list[tuple[str, str]] | None = None
        if against is not None:
            before = reading.find(against)
            old, new = _names(before, folder)
            pairs = [(f"{stack} ({new})", f"{stack} ({old})") for stack in costs.stacks]
            costs = reading.beside(_read(before), costs, (old, new))
        elif pair is not None:
            pairs = [(reading.chosen(costs, pair[0]), reading.chosen(costs, pair[1]))]
    note(costs.problems)
    if as_json:
        click.echo(json_text(document.of(costs, folder, by, pairs or (), phase)))
        return
    if phase is not None:
        lines = [line for case in costs.cases() for line in terminal.of_phase(costs, phase, case)]
    elif pairs is None:
        lines = list(terminal.overview(costs, by))
    else:
        lines = [line for one, other in pairs for line in terminal.between(costs, one, other, by)]
        lines[:0] = terminal.apart(costs, pairs) if against is not None else ()
    for line in lines:
        click.echo(plain(line))
    if not no_page:
        from loopbench.results.report import why_page

        file = "why.html" if against is None else "why-against.html"
        click.echo(why_page.write(folder / file, costs, None if against is None else pairs))


def _read(folder: Path) -> Costs:
    """Raises ResultsError where the folder has no row."""
    from loopbench.results.why import costs as reading

    costs = reading.read(folder)
    if not costs.totals:
        raise ResultsError(f"{folder} has no row of what a request cost")
    return costs


def _names(one: Path, other: Path) -> tuple[str, str]:
    """Names that tell two folders apart: the last parts of their paths that differ."""
    pairs = zip(reversed(one.resolve().parts), reversed(other.resolve().parts), strict=False)
    for first, second in pairs:
        if first != second:
            return first, second
    raise click.UsageError(f"{one} and {other} are the same folder")
