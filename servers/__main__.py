"""`python -m servers`: list the stacks, or run one in the foreground for a person with curl."""

from __future__ import annotations

import os
import sys

import click

from loopbench.command_line import carry_out, standard_streams
from loopbench.late_commands import LateCommands
from loopbench.servers.errors import ServerError, UnknownStack
from loopbench.servers.store_urls import without_secrets


@click.group(
    cls=LateCommands,
    places={
        "list": "loopbench.servers.listing:list_command",
        "run": "loopbench.servers.running:run_command",
    },
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="loopbench", prog_name="loopbench")
@click.pass_context
def cli(context: click.Context) -> None:
    """The servers that are measured: list them, or run one and talk to it."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> None:
    """Run the command line; a failure is one line on standard error.

    Exit status: 2 for a command line that cannot be obeyed, 1 for a server
    that could not run.
    """
    program = os.path.basename(sys.argv[0])
    with standard_streams():
        carry_out(
            cli,
            "python -m servers" if program == "__main__.py" else program,
            {UnknownStack: 2, ServerError: 1},
            without_secrets,
        )


if __name__ == "__main__":
    main()
