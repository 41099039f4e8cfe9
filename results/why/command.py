"""`python -m results why`: what a request costs, by function, from the rows of a folder."""

from __future__ import annotations

from pathlib import Path

import click

from loopbench.results.errors import ResultsError, UnknownName
from loopbench.results.stats.formatting import plain


@click.command()
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
@click.option("--no-page", is_flag=True, help="Leave out why.html, with its flame graphs.")
def why(run: Path | None, by: str, pair: tuple[str, str] | None, no_page: bool) -> None:
    """Say where the instructions of a request go, and write why.html with its flame graphs.

    RUN is a folder with costs.csv; by default the newest.
    """
    from loopbench.results.why import costs as reading
    from loopbench.results.why import terminal

    try:
        folder = reading.find(run)
        costs = reading.read(folder)
        for problem in costs.problems:
            click.echo(f"note: {problem}", err=True)
        if not costs.totals:
            raise ResultsError(f"{folder} has no row of what a request cost")
        if pair is None:
            lines = list(terminal.overview(costs, by))
        else:
            one, other = (reading.chosen(costs, stack) for stack in pair)
            lines = list(terminal.between(costs, one, other, by))
    except UnknownName as error:
        raise click.UsageError(str(error)) from None
    for line in lines:
        click.echo(plain(line))
    if not no_page:
        from loopbench.results.report import why_page

        click.echo(why_page.write(folder, costs))
