"""The RUN that commands take, its rows, and what several of them print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from loopbench.results.errors import ResultsError, UnknownName
from loopbench.results.folder import folder as folders
from loopbench.results.folder import other_tools, tables, tool_figures
from loopbench.results.folder.tool_figures import ToolFile
from loopbench.results.schema import BEHAVIOUR, COST_TOTALS, INSTALLED, RUNS, TRIALS, writer_of

if TYPE_CHECKING:
    from loopbench.results.stats.summaries.summary import Summaries

_SHOWN_BY = {TRIALS: "capacity", COST_TOTALS: "why", BEHAVIOUR: "behaviour"}
"""Tables that stand in a folder without any Run, and the command that shows them."""

# What takes long to import is imported by the command that needs it: completion must be quick.


class Run(click.ParamType[Path]):
    """A results folder, by name or path."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The folder; a usage error that suggests the nearest name."""
        if isinstance(value, Path):
            return value
        tool = other_tools.tool_of(Path(value))
        if tool is not None:
            raise click.UsageError(other_tools.refusal(Path(value), tool), ctx)
        if not folders.is_results_folder(Path(value)) and (other := _other_rows(Path(value))):
            raise click.UsageError(other, ctx)
        with names_of_the_user(ctx):
            return folders.find(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names of the runs that are here, the newest first, and then folders."""
        completions = [name for name in folders.names() if name.startswith(incomplete)]
        return [*map(CompletionItem, completions), CompletionItem(incomplete, type="dir")]


class RunOrToolFile(click.ParamType["Path | ToolFile"]):
    """A results folder, or a file of another load tool that is read."""

    name = "run"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | ToolFile:
        """The folder, or the figures of the file; a usage error for any other file."""
        if not isinstance(value, str):
            converted: Path | ToolFile = value
            return converted
        tool = other_tools.tool_of(Path(value))
        if tool is not None and tool in tool_figures.READERS:
            figures = tool_figures.figures(Path(value), tool)
            if figures is not None:
                return figures
        return Run().convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """As of a run."""
        return Run().shell_complete(ctx, param, incomplete)


RUN = click.argument("run", type=Run(), required=False)


@contextmanager
def names_of_the_user(ctx: click.Context | None = None) -> Iterator[None]:
    """An unknown name is wrong usage; the message suggests the nearest one."""
    try:
        yield
    except UnknownName as error:
        raise click.UsageError(str(error), ctx) from None


def chosen(run: Path | None) -> Path:
    with names_of_the_user():
        return run if run is not None else folders.find(None)


def load(path: Path) -> folders.Folder:
    """The folder, if any row of it can be used. Raises ResultsError."""
    loaded = folders.load(path)
    if loaded.runs:
        return loaded
    other = _other_rows(path)
    if other is not None:
        raise ResultsError(other)
    about_runs = [problem for problem in loaded.problems if problem.file == "runs.csv"]
    why = about_runs[0] if about_runs else "runs.csv holds no row: no Run had ended"
    longer = "" if loaded.plan.budget_s is None else " with a longer --budget"
    remedy = (
        f"measure again{longer}, or go on with it by --resume"
        if writer_of(path) is None
        else "look again in a while"
    )
    raise ResultsError(f"{path} has nothing to show: {why}; {remedy}")


def _other_rows(path: Path) -> str | None:
    """What a folder without Runs holds, and what shows it; None where it is nothing that is known,
    or where it has Runs."""
    if (path / RUNS.filename).exists():
        return None
    python = "python -m loopbench.results" if INSTALLED else "python -m results"
    for table, command in _SHOWN_BY.items():
        if (path / table.filename).is_file():
            return f"{path} holds no bench; `{python} {command} {path}` shows its {table.filename}"
    return None


def summaries_of(
    loaded: folders.Folder, reference: str | None, whole: folders.Folder | None = None
) -> Summaries:
    """whole: the folder that this one is a part of; None: it is one by itself."""
    from loopbench.results.stats.summaries import summary

    with names_of_the_user():
        if whole is not None:
            return summary.summarise_part(whole, loaded, reference)
        return summary.summarise(loaded, reference)


def note(problems: Iterable[tables.Problem]) -> None:
    """Name what could not be read, beside the output."""
    for problem in problems:
        click.echo(f"note: {problem}", err=True)
