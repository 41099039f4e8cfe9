"""What differs: `compare` two runs, `split` server and framework."""

from __future__ import annotations

from pathlib import Path

import click

from loopbench.results.commands.run import RUN, Run, chosen, load, note, summaries_of
from loopbench.results.errors import ResultsError
from loopbench.results.folder import tables
from loopbench.results.schema import how_to
from loopbench.results.schema.json_forms import AS_JSON, json_text
from loopbench.results.terminal.console import show_on_console


@click.command()
@click.argument("first", type=Run())
@click.argument("second", type=Run())
@click.option("--all", "every", is_flag=True, help="Compare every metric, not only those shown.")
@AS_JSON
def compare(first: Path, second: Path, every: bool, as_json: bool) -> None:
    """Compare two runs: ratio, interval and verdict a Cell and metric, and changed facts.

    Facts are the threads and loops that routes ran on and, where both runs
    have them, the answers of `make behaviour`.
    """
    from loopbench.results.stats import compare, compare_facts
    from loopbench.results.terminal import compare as compare_table
    from loopbench.results.terminal import documents

    one, other = load(first), load(second)
    before, after = summaries_of(one, None), summaries_of(other, None)
    compared = compare.compare(one, before, other, after, every=every)
    if not compared:
        raise ResultsError("the two runs have no stack and scenario in common")
    differ, only = compare.differences(one, other), compare.only_in_one(before, after)
    otherwise = compare_facts.otherwise(one, other)
    if as_json:
        document = documents.compare(one, other, compared, [*differ, *otherwise], only)
        click.echo(json_text(document))
        return
    show_on_console(
        lambda console: compare_table.render(one, other, compared, differ, only, otherwise, console)
    )


@click.command()
@RUN
def split(run: Path | None) -> None:
    """Tell server and framework apart, and what another loop or parser changes."""
    from loopbench.results.stats import framework_split as splitting
    from loopbench.results.stats import framework_split_text

    loaded = load(chosen(run))
    problems: list[tables.Problem] = []
    splits, counts = splitting.of_folder(loaded, summaries_of(loaded, None), problems)
    note(problems)
    if not splits and not counts:
        raise ResultsError(
            "no two stacks of this run differ in their framework, loop or parser alone; "
            + how_to(
                'make bench STACKS="asgi-hypercorn quart-hypercorn"',
                "loopbench bench --stack asgi-hypercorn --stack quart-hypercorn",
            )
            + " measures two that do"
        )
    for line in framework_split_text.lines(splits, counts):
        click.echo(line)
