"""What is kept and published: `pack`, `behaviour`, `answers` and `dictionary`."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from pathlib import Path

import click

from loopbench.results.commands.run import RUN, chosen, note
from loopbench.results.folder.writing import written_to
from loopbench.results.schema.json_forms import AS_JSON, json_text
from loopbench.results.terminal.console import folded


@click.command(short_help="Compress a folder that is to be kept.")
@RUN
def pack(run: Path | None) -> None:
    """Compress histograms.csv, the one large table, in a folder that is to be kept.

    Every command here reads it as before; gunzip undoes it.
    """
    from loopbench.results.folder import compress

    click.echo(compress.pack(chosen(run)))


@click.command(short_help="What the stacks were seen to do.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it there instead of printing it.",
)
@AS_JSON
def behaviour(folder: Path, out: Path | None, as_json: bool) -> None:
    """Print what the stacks were seen to do, as an article in Markdown, from behaviour.csv."""
    from loopbench.results.folder import behaviour_answers as answers
    from loopbench.results.report import behaviour_article
    from loopbench.results.terminal import documents

    rows, problems = answers.rows_of(folder)
    if as_json:
        text = json_text(documents.behaviour(folder.resolve().name, rows, problems)) + "\n"
    else:
        text = behaviour_article.article(answers.questions(rows))
    note(problems)
    if out is None:
        click.echo(text, nl=False)
    else:
        written_to(out, text)


@click.command(short_help="What the published runs answer.")
@click.option("--write", is_flag=True, help="Write results/reference/answers.csv anew.")
def answers(write: bool) -> None:
    """Print what the published runs answer to the report's questions.

    Reports of runs that did not measure it show it, with where it is from.
    """
    from loopbench.results.report.questions import published

    if write:
        click.echo(published.write())
        return
    for question, rows in groupby(published.rows(), key=itemgetter("question")):
        first, *details = rows
        click.secho(str(question), bold=True)
        click.echo(folded(f"{first['answer']} ({first['run']})", "  "))
        for row in details:
            click.echo(folded(str(row["answer"]), "  - "))
        click.echo()


@click.command(short_help="Every table, column, unit and Warning.")
@click.option("--write", is_flag=True, help="Write it into results/README.md.")
def dictionary(write: bool) -> None:
    """Print the data dictionary: every table, column, unit and Warning."""
    from loopbench.results.terminal import dictionary

    if not write:
        click.echo(dictionary.dictionary())
        return
    text = dictionary.README.read_text(encoding="utf-8")
    dictionary.README.write_text(dictionary.renewed(text), encoding="utf-8")
