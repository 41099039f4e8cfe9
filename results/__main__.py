"""`python -m results`: show a run, compare two, keep what is derived from rows up to date."""

from __future__ import annotations

import os
import sys

import click

from loopbench.command_line import carry_out, standard_streams
from loopbench.results.commands.differences import compare, split
from loopbench.results.commands.keeping import answers, behaviour, dictionary, pack
from loopbench.results.commands.rates import capacity
from loopbench.results.commands.show import picture, report, show
from loopbench.results.commands.why import why
from loopbench.results.errors import ResultsError
from loopbench.results.regression.command import COMMANDS as REGRESSION_COMMANDS


@click.group(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="loopbench", prog_name="loopbench")
def cli() -> None:
    """Read results folders. RUN is a name under results/runs or a path; by default the newest."""


for command in (
    *(show, report, compare, picture, pack, behaviour, capacity, split, answers, dictionary),
    *(*REGRESSION_COMMANDS, why),
):
    cli.add_command(command)


def main() -> None:
    """Entry point: errors are one line; exit 2 for wrong usage, 1 for the rest, 130 for Ctrl-C."""
    program = os.path.basename(sys.argv[0])
    installed = program.startswith("loopbench")
    with standard_streams():
        carry_out(cli, program if installed else "python -m results", {ResultsError: 1})


if __name__ == "__main__":
    main()
