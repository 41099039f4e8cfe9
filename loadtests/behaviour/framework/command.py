"""`python -m loadtests behaviour`: ask the Questions, print the answers, write behaviour.csv."""

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import click

from loopbench.cli_names import suggestion
from loopbench.cli_types import Folder
from loopbench.loadtests.behaviour.framework.catalogue import Asked, experiments
from loopbench.loadtests.behaviour.framework.question import Key
from loopbench.loadtests.behaviour.framework.rows import NOT_ANSWERED, PACKAGES, row_of, write
from loopbench.loadtests.behaviour.framework.scheduler import ask_all
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.rows.results_folder import cannot_write, new_folder, writing_into
from loopbench.results.schema import BEHAVIOUR, INSTALLED, Row, SchemaError
from loopbench.servers.installed import lacking

LOG_FILE = "behaviour.log"
Packages = Mapping[str, tuple[str, ...]]
_REMEDY = "loopbench[stacks] brings it" if INSTALLED else "`make setup STACKS=all` brings it"


@click.command(short_help="Ask the servers what they really do.")
@click.argument("questions", nargs=-1, metavar="[QUESTION]...")
@click.option(
    "--stack", "stacks", multiple=True, metavar="STACK", help="Ask only this stack or pattern."
)
@click.option(
    "--out",
    type=Folder(),
    metavar="DIR",
    help="The results folder that the answers are put into; a new one under results/runs "
    "by default.",
)
@click.option("--list", "only_list", is_flag=True, help="List the questions and ask none.")
def behaviour(
    questions: tuple[str, ...], stacks: tuple[str, ...], out: Path | None, only_list: bool
) -> None:
    """Ask by experiment what each stack really does, and write down the answers.

    QUESTION is a name or a pattern, such as disconnect.plain-await or
    'stopping.*'; all are asked where none is named. Answers that the folder
    holds for another Python stay. Exit status 1 where one could not be had.
    """
    known = experiments()
    names = _fitting("question", questions, (name for name, _, _ in known))
    asked = _fitting("stack", stacks, (stack for _, stack, _ in known))
    wanted = [entry for key, entry in known.items() if key[0] in names and key[1] in asked]
    if only_list:
        for name, asks in dict.fromkeys((entry.name, entry.question.asks) for entry in wanted):
            click.echo(f"{name:36} {asks}")
        return
    wanted = askable(wanted)
    folder = out or new_folder()
    with writing_into(folder):
        with _writing(folder, LOG_FILE):
            (folder / LOG_FILE).touch()
        rows = _ask(wanted, list(known), folder)
    click.echo(f"{len(rows)} answers in {folder / BEHAVIOUR.filename}", err=True)
    missing = [row for row in rows if row["answer"] == NOT_ANSWERED]
    if missing:
        raise HarnessError(
            f"{len(missing)} without an answer: {_title(missing[0])}: {missing[0]['evidence']}; "
            f"{folder / LOG_FILE} has what they wrote"
        )


def _fitting(kind: str, patterns: tuple[str, ...], known: Iterable[str]) -> set[str]:
    """The names that fit a pattern, or all where none is given; a usage error for one without."""
    names = dict.fromkeys(known)
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise click.UsageError(suggestion(kind, pattern, names))
    return set(chain.from_iterable(fnmatch.filter(names, pattern) for pattern in patterns or "*"))


def askable(wanted: Iterable[Asked], packages: Packages = PACKAGES) -> list[Asked]:
    """Those whose stack is installed; the others are named. Raises HarnessError where none is."""
    wanted = list(wanted)
    stacks = dict.fromkeys(asked.experiment.stack for asked in wanted)
    missing = {stack: lacking(packages[stack]) for stack in stacks}
    left_out = [f"{stack} needs {', '.join(names)}" for stack, names in missing.items() if names]
    installed = [asked for asked in wanted if not missing[asked.experiment.stack]]
    if left_out:
        text = f"not installed, so not asked: {'; '.join(left_out)} ({_REMEDY})"
        if not installed:
            raise HarnessError(text)
        click.echo(f"note: {text}", err=True)
    return installed


@contextmanager
def _writing(folder: Path, name: str) -> Iterator[None]:
    """Says in a line where that file cannot be written."""
    try:
        yield
    except OSError as error:
        raise cannot_write(folder, name, error) from error
    except SchemaError as error:
        remedy = "take another folder with --out, or remove the file"
        raise HarnessError(f"{error}; {remedy}") from error


def _ask(wanted: Iterable[Asked], order: list[Key], folder: Path) -> list[Row]:
    """Ask, say each answer as it comes, and write the rows, whatever ends the asking."""
    rows: list[Row] = []
    try:
        with (folder / LOG_FILE).open("a") as log:
            for asked, outcome in ask_all(wanted):
                rows.append(row_of(asked, outcome))
                click.echo(f"{_title(rows[-1])}: {rows[-1]['answer']}")
                if outcome.answer is None:
                    log.write(f"{_title(rows[-1])}: {outcome.problem}\n{outcome.output}\n")
    finally:
        with _writing(folder, BEHAVIOUR.filename):
            write(folder, rows, order)
    return rows


def _title(row: Row) -> str:
    setting = "" if row["setting"] == "default" else f" ({row['setting']})"
    return f"{row['question']} {row['stack']}{setting}"
