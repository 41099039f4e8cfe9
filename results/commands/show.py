"""What a run says: `show`, `report` and `picture`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopbench.results.commands.run import RUN, chosen, load, names_of_the_user, summaries_of
from loopbench.results.errors import ResultsError
from loopbench.results.folder import folder as folders
from loopbench.results.folder.counts import counts_of
from loopbench.results.folder.writing import written_to
from loopbench.results.schema.json_forms import AS_JSON, json_text
from loopbench.results.terminal.console import show_on_console

if TYPE_CHECKING:
    from loopbench.results.stats.summaries.summary import Summaries


@click.command(short_help="Print the table of a run, and its Warnings.")
@RUN
@click.option(
    "--reference",
    metavar="STACK",
    help="Take ratios to this stack; by default to the first by name that is no yardstick.",
)
@click.option("--wide", is_flag=True, help="Print every figure, and the Warnings in words.")
@click.option("--intervals", is_flag=True, help="The same, with both ends of each interval.")
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="SCENARIO",
    help="Show only this one, or those of a pattern (repeatable).",
)
@click.option("--report", "reported", is_flag=True, help="Write the report too, of everything.")
@click.option(
    "--update",
    is_flag=True,
    help="Write summary.csv and datapackage.json into the folder anew, of everything.",
)
@AS_JSON
def show(
    run: Path | None,
    reference: str | None,
    wide: bool,
    intervals: bool,
    scenarios: tuple[str, ...],
    reported: bool,
    update: bool,
    as_json: bool,
) -> None:
    """Print who is faster, by how much and how sure that is, a line a scenario.

    No file of the folder is changed, except those that --report and --update are about.
    """
    from loopbench.results.terminal import brief, brief_columns, table

    path = chosen(run)
    whole = loaded = load(path)
    summaries = summaries_of(loaded, reference)
    if scenarios:
        with names_of_the_user():
            loaded = folders.only(loaded, scenarios)
        summaries = summaries_of(loaded, reference, whole)
    if as_json:
        from loopbench.results.terminal import documents

        click.echo(json_text(documents.show(loaded, summaries)))
    elif wide or intervals or not brief.compares(loaded, summaries):
        page = table.page(loaded, summaries, intervals=intervals)
        show_on_console(lambda console: table.render(page, path, console))
    else:
        short = brief.brief(loaded, summaries, counts_of(path, []))
        show_on_console(lambda console: brief_columns.render(short, path, console))
    if update:
        _update(path, summaries_of(whole, reference))
    if reported:
        written = _report(whole, summaries_of(whole, None), None)
        click.echo(written, err=as_json)  # a document stands on standard output alone


@click.command(short_help="Write the report of a run as a page.")
@RUN
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["html", "md"]),
    help="Write only that one, and print its path.",
)
def report(run: Path | None, wanted: str | None) -> None:
    """Write report.html and report.md into the folder, and print where the page is."""
    loaded = load(chosen(run))
    click.echo(_report(loaded, summaries_of(loaded, None), wanted))


def _update(path: Path, summaries: Summaries) -> None:
    """Write the tables that are made from what was measured. Raises ResultsError."""
    from loopbench.results.folder import datapackage
    from loopbench.results.stats.summaries import summary_table

    try:
        summary_table.write(path, summaries)
        datapackage.write(path)
    except OSError as error:
        raise ResultsError(f"cannot write into {path}: {error.strerror}") from error


def _report(loaded: folders.Folder, summaries: Summaries, wanted: str | None) -> str:
    """Write the report, in every format unless one is wanted; returns the first one's path."""
    from loopbench.results.report import write as writing
    from loopbench.results.terminal.table import shown_path

    written = writing.write(loaded, summaries, [wanted] if wanted else writing.FORMATS)
    return shown_path(written[0])


@click.command(short_help="Draw a run as one SVG.")
@RUN
@click.option(
    "--scenario", "scenarios", multiple=True, help="Draw this closed loop (repeatable); all."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the picture goes; picture.svg in the folder by default.",
)
def picture(run: Path | None, scenarios: tuple[str, ...], out: Path | None) -> None:
    """Draw throughput and CPU per request as one SVG that stands by itself, and print its path."""
    from loopbench.results.report import standalone as drawn

    path = chosen(run)
    loaded = load(path)
    with names_of_the_user():
        text = drawn.render(loaded, summaries_of(loaded, None), scenarios)
    click.echo(written_to(out or path / "picture.svg", text))
