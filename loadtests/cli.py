"""`python -m loadtests`: the group of its commands."""

from __future__ import annotations

import shlex
import signal
import sys
from typing import NoReturn

import click

from loopbench.command_line import carry_out, expect_address_space, imports
from loopbench.late_commands import LateCommands
from loopbench.loadtests.commands import COMMANDS, PROGRAM, judges, needs_memory
from loopbench.loadtests.errors import HarnessError
from loopbench.results.schema.verdict import BROKEN
from loopbench.servers.store_urls import without_secrets
from loopbench.servers.supervision import own_modules
from loopbench.servers.supervision.scratch import sweep


@click.group(
    cls=LateCommands,
    places=COMMANDS,
    within=imports,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="loopbench", prog_name="loopbench")
@click.pass_context
def cli(context: click.Context) -> None:
    """Load equivalent servers with Locust and write down what they did."""
    helped = not set(context.help_option_names).isdisjoint(sys.argv)
    name = context.invoked_subcommand
    if not helped and needs_memory(name):
        expect_address_space(BROKEN if judges(name) else 1)


def _terminated(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    """Entry point: errors are one line; exit 2 for wrong usage, 1 for the rest, 130 for Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _terminated)
    sweep()
    program = shlex.join(own_modules.program(PROGRAM))
    carry_out(cli, program, {HarnessError: 1}, without_secrets)
