"""The commands `regression` and `occasions`; results.__main__ registers them."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from loopbench.command_line import expect_address_space
from loopbench.results.errors import ResultsError
from loopbench.results.schema.json_forms import AS_JSON, json_text
from loopbench.results.schema.verdict import BROKEN, judging
from loopbench.results.terminal.console import captured

if TYPE_CHECKING:
    from rich.console import Console

    from loopbench.results.regression.verdict import Report

Command = TypeVar("Command", bound=Callable[..., Any])

Judging = judging(ResultsError)


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


def _share(name: str, default: str, meaning: str) -> Callable[[Command], Command]:
    """An option that is a share in per cent."""
    return click.option(name, type=Percent(), default=default, show_default=True, help=meaning)


@click.command(cls=Judging, short_help="Judge a folder of the regression check.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The baseline, for a folder without a base: `baseline` in it, else results/baseline.",
)
@_share("--instructions", "1 %", "Growth of instructions from which on a route has regressed.")
@_share("--floor", "2 %", "Slowdowns below it are none, however sure they are.")
@_share("--ruled-out", "5 %", "The slowdown that has to be ruled out.")
@_share("--alpha", "0.5 %", "False alarms of the time layer, over its whole table.")
@click.option("--all", "every", is_flag=True, help="Print what stayed the same, too.")
@AS_JSON
def regression(
    folder: Path,
    baseline: Path | None,
    instructions: float,
    floor: float,
    ruled_out: float,
    alpha: float,
    every: bool,
    as_json: bool,
) -> None:
    """Judge what `loadtests regression` measured in FOLDER.

    Exit status: 0 no regression, 1 regression, 2 cannot tell, 3 broken. Writes
    regression.csv, regression.md, junit.xml, exit_status, and JSON for other tools into FOLDER.
    """
    expect_address_space(BROKEN)
    from loopbench.results.regression import evidence, verdict
    from loopbench.results.regression.finding import Settings
    from loopbench.results.regression.outputs import document, write

    settings = Settings(instructions, floor, ruled_out, alpha)
    if floor >= ruled_out:
        raise ResultsError("--floor has to be less than --ruled-out")
    judged = verdict.judge(evidence.read(folder, baseline), settings)
    written: tuple[Path, ...] = ()
    try:
        written = write.write(judged, folder)
    finally:  # a verdict that could not be written is shown all the same
        names = [file.name for file in written]
        if as_json:
            _write(json_text(document.of(judged, names)))
        else:
            _print(judged, every, names)
    sys.exit(int(judged.status))


def _print(judged: Report, every: bool, written: list[str]) -> None:
    """As wide as the terminal."""
    from loopbench.results.regression.outputs import terminal
    from loopbench.results.terminal.table import shown_path

    def render(console: Console) -> None:
        terminal.render(judged, console, every=every)
        lines = [f"Exit status: {int(judged.status)}"]
        if written:
            # A path is never broken, and neither is a file's name.
            names = textwrap.wrap(
                ", ".join(written),
                console.width,
                initial_indent="  ",
                subsequent_indent="  ",
                break_on_hyphens=False,
                break_long_words=False,
            )
            lines = [f"Files in {shown_path(judged.evidence.folder)}:", *names, *lines]
        console.print("\n".join(lines), soft_wrap=True)

    _write("\n".join(captured(render)))


def _write(text: str) -> None:
    """A reader that has gone, such as `head`, changes no verdict."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the status is still to be the verdict's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.command(cls=Judging, short_help="What measurements of several days differ by.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def occasions(folders: tuple[Path, ...]) -> None:
    """Print what FOLDERS, measured on several occasions, differ by: occasions.csv of a baseline.

    Of a folder with two sides the base is taken.
    """
    import csv

    expect_address_space(BROKEN)
    from loopbench.results.regression.layers import occasions as occasion
    from loopbench.results.schema import format_value

    rows = list(occasion.rows_of(folders))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(occasion.TABLE.names)
    for row in rows:
        writer.writerow([format_value(row[name]) for name in occasion.TABLE.names])


COMMANDS: tuple[click.Command, ...] = (regression, occasions)
