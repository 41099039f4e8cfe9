"""The commands `regression` and `occasions`; results.__main__ registers them."""

from __future__ import annotations

import io
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from results.errors import ResultsError

if TYPE_CHECKING:
    from results.regression.report import Report

BROKEN = 3
"""Exit status where nothing could be judged. 0, 1 and 2 are verdicts."""

INTERRUPTED = 130


class Percent(click.ParamType[float]):
    """A share, given in per cent, with or without the sign."""

    name = "percent"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        try:
            share = float(str(value).removesuffix("%").strip()) / 100
        except ValueError:
            share = -1.0
        if not 0 < share < 1:
            self.fail(f"{value!r} is no percentage between 0 and 100", param, ctx)
        return share


class Judging(click.Command):
    """A command whose exit status is a verdict: nothing else that can happen may look like one."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Wrong usage is exit status 3, since 2 says that the check cannot tell."""
        try:
            return super().make_context(*arguments, **options)
        except click.UsageError as error:
            _end(error.format_message())

    def invoke(self, ctx: click.Context) -> Any:
        """Whatever goes wrong is exit status 3; a traceback's would be 1, a regression."""
        try:
            return super().invoke(ctx)
        except ResultsError as error:
            _end(str(error))
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)
        except Exception:
            traceback.print_exc()
            _end("this is an error of the check itself")


def _end(line: str) -> NoReturn:
    click.echo(f"error: {' '.join(line.split())}", err=True)
    sys.exit(BROKEN)


@click.command(cls=Judging)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The baseline, for a folder without a base: `baseline` in it, else results/baseline.",
)
@click.option(
    "--instructions",
    type=Percent(),
    default="1 %",
    show_default=True,
    help="Growth of instructions from which on a route has regressed.",
)
@click.option(
    "--floor",
    type=Percent(),
    default="2 %",
    show_default=True,
    help="Slowdowns below it are none, however sure they are.",
)
@click.option(
    "--ruled-out",
    type=Percent(),
    default="5 %",
    show_default=True,
    help="The slowdown that has to be ruled out.",
)
@click.option(
    "--alpha",
    type=Percent(),
    default="0.5 %",
    show_default=True,
    help="False alarms of the time layer, over its whole table.",
)
@click.option("--all", "every", is_flag=True, help="Print what stayed the same, too.")
def regression(
    folder: Path,
    baseline: Path | None,
    instructions: float,
    floor: float,
    ruled_out: float,
    alpha: float,
    every: bool,
) -> None:
    """Judge what `loadtests regression` measured in FOLDER.

    Exit status: 0 no regression, 1 regression, 2 cannot tell, 3 broken. Writes
    regression.csv, regression.md and junit.xml into FOLDER.
    """
    from results.regression import evidence, report, writing
    from results.regression.finding import Settings

    settings = Settings(instructions, floor, ruled_out, alpha)
    if floor >= ruled_out:
        raise ResultsError("--floor has to be less than --ruled-out")
    judged = report.judge(evidence.read(folder, baseline), settings)
    written: tuple[Path, ...] = ()
    try:
        written = writing.write(judged, folder)
    finally:  # a verdict that could not be written is shown all the same
        _print(judged, every, [file.name for file in written])
    sys.exit(int(judged.status))


def _print(judged: Report, every: bool, written: list[str]) -> None:
    """As wide as the terminal; a reader that has gone, such as `head`, changes no verdict."""
    from rich.console import Console

    from results.regression import terminal
    from results.table import shown_path

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        terminal.render(judged, console, every=every)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    if written:
        lines.append(f"Files in {shown_path(judged.evidence.folder)}: {', '.join(written)}")
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.command(cls=Judging)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def occasions(folders: tuple[Path, ...]) -> None:
    """Print what FOLDERS, measured on several occasions, differ by: occasions.csv of a baseline.

    Of a folder with two sides the base is taken.
    """
    import csv

    from results.regression import occasions as occasion
    from results.schema import format_value

    rows = list(occasion.rows_of(folders))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(occasion.TABLE.names)
    for row in rows:
        writer.writerow([format_value(row[name]) for name in occasion.TABLE.names])


COMMANDS: tuple[click.Command, ...] = (regression, occasions)
