"""What differs: `compare` two runs, `split` server and framework."""

from __future__ import annotations

from pathlib import Path

import click

from loopbench.results.commands.run import RUN, RunOrToolFile, chosen, load, note, summaries_of
from loopbench.results.errors import ResultsError
from loopbench.results.folder import other_tools, tables
from loopbench.results.folder.tool_figures import ToolFile, pairs
from loopbench.results.schema import how_to_bench
from loopbench.results.schema.json_forms import AS_JSON, json_text
from loopbench.results.terminal.console import show_on_console


@click.command(short_help="Compare two runs, with a verdict for each.")
@click.argument("first", type=RunOrToolFile())
@click.argument("second", type=RunOrToolFile())
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="List every metric, and what may as well be the same (~), too.",
)
@AS_JSON
def compare(first: Path | ToolFile, second: Path | ToolFile, every: bool, as_json: bool) -> None:
    """Compare two runs: ratio, interval and verdict a Cell and metric, and changed facts.

    Facts are the threads and loops that routes ran on and, where both runs
    have them, the answers of `make behaviour`. Two files of other load tools,
    such as Locust's NAME_stats.csv, are shown side by side, without a verdict.
    """
    if isinstance(first, ToolFile) and isinstance(second, ToolFile):
        _compare_files(first, second, every or as_json)
        return
    if isinstance(first, ToolFile) or isinstance(second, ToolFile):
        file = first if isinstance(first, ToolFile) else second
        assert isinstance(file, ToolFile)
        raise click.UsageError(other_tools.refusal(file.path, file.tool))
    from loopbench.results.stats.comparisons import compare, compare_facts
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
        lambda console: compare_table.render(
            one, other, compared, differ, only, otherwise, console, every=every
        )
    )


def _compare_files(first: ToolFile, second: ToolFile, options: bool) -> None:
    from loopbench.results.terminal import tool_figures

    if options:
        raise click.UsageError("--all and --json are of two runs, and not of other tools' files")
    if not any(pairs(first, second)):
        raise ResultsError("the two files have no request in common")
    for line in tool_figures.lines(first, second):
        click.echo(line)


_TWO_LOOPS = (
    "a bench of your application with `--on aiohttp --on aiohttp-uvloop`, or "
    "`--on hypercorn --on hypercorn-uvloop`,"
)


@click.command(short_help="Tell server and framework apart.")
@RUN
def split(run: Path | None) -> None:
    """Tell server and framework apart, and what another loop or parser changes."""
    from loopbench.results.stats.comparisons import framework_split as splitting
    from loopbench.results.stats.comparisons import framework_split_text

    loaded = load(chosen(run))
    problems: list[tables.Problem] = []
    splits, counts = splitting.of_folder(loaded, summaries_of(loaded, None), problems)
    note(problems)
    if not splits and not counts:
        own = "application" in loaded.environment
        how = _TWO_LOOPS if own else how_to_bench(stacks="asgi-hypercorn quart-hypercorn")
        raise ResultsError(
            "no two stacks of this run differ in their framework, loop or parser alone; "
            f"{how} measures two that do"
        )
    for line in framework_split_text.lines(splits, counts):
        click.echo(line)
