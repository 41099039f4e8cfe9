"""`loopbench`, and `python -m loopbench`: one command for everything that people do.

Its subcommands are those of `python -m loopbench.loadtests`, `.results` and `.servers`, whose own
entry points carry them out: with their errors, exit statuses and help.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any, cast

import click
from click.shell_completion import CompletionItem

from loopbench.command_line import carry_out, fail, standard_streams
from loopbench.late_commands import Suggesting
from loopbench.results.schema.verdict import BROKEN

PROGRAM = "loopbench"
_WRONG_USAGE = 2
_LOADTESTS, _RESULTS, _SERVERS = (
    "loopbench.loadtests",
    "loopbench.results",
    "loopbench.servers",
)


@dataclass(frozen=True, slots=True)
class Subcommand:
    """Where a subcommand is: the package whose entry point has it, and its name there.

    name: None where the package's whole group stands behind the word.
    help: its line in `loopbench --help`; what it stands for is imported when it is used.
    """

    package: str
    name: str | None
    help: str


SUBCOMMANDS: dict[str, Subcommand] = {
    "init": Subcommand(_LOADTESTS, "init", "Write loopbench.toml for an application of yours."),
    "bench": Subcommand(_LOADTESTS, "bench", "Measure servers, or an application of yours."),
    "scenarios": Subcommand(_LOADTESTS, "list", "The loads, with what each one asks."),
    "servers": Subcommand(_SERVERS, None, "List the servers, or run one in the foreground."),
    "show": Subcommand(_RESULTS, "show", "Print the table of a run, and its Warnings."),
    "report": Subcommand(_RESULTS, "report", "Write the report of a run as a page."),
    "compare": Subcommand(_RESULTS, "compare", "Compare two runs, with a verdict for each."),
    "capacity": Subcommand(_RESULTS, "capacity", "How many processes a rate needs."),
    "limits": Subcommand(_LOADTESTS, "capacity", "Find the highest rate that keeps an objective."),
    "picture": Subcommand(_RESULTS, "picture", "Draw a run as one SVG."),
    "split": Subcommand(_RESULTS, "split", "Tell server and framework apart."),
    "pack": Subcommand(_RESULTS, "pack", "Compress a results folder that is to be kept."),
    "why": Subcommand(_LOADTESTS, "why", "Count what a request costs, by function."),
    "behaviour": Subcommand(_LOADTESTS, "behaviour", "Ask the servers what they really do."),
    "regression": Subcommand(_LOADTESTS, "regression", "Did a change make it worse?"),
    "instructions": Subcommand(_LOADTESTS, "instructions", "Count the instructions of a request."),
    "services": Subcommand(_LOADTESTS, "services", "Run Redis and PostgreSQL for the servers."),
    "worker": Subcommand(_LOADTESTS, "worker", "Share the load of a bench on another host."),
    "check-hosts": Subcommand(_LOADTESTS, "check-hosts", "Are other hosts ready for a bench?"),
    "selfcheck": Subcommand(_LOADTESTS, "selfcheck", "Check the measuring instrument itself."),
}


_READS = "it reads what was measured"
WITHOUT_APP: dict[str, str] = {
    "show": _READS,
    "report": _READS,
    "compare": f"{_READS}; measure both sides by `loopbench bench --app`",
    "capacity": (
        f"{_READS}; `loopbench limits --app APP --get PATH --slo 'p99<20ms'` searches for the limit"
    ),
    "behaviour": (
        "it asks servers and frameworks by applications of its own; `loopbench bench --app` and "
        "`loopbench servers run --watch --app` observe one of yours"
    ),
    "regression": (
        "it compares trees, or versions of packages, by applications of its own; measure yours "
        "before and after by `loopbench bench --app`, and compare the two by `loopbench compare`"
    ),
    "instructions": "it counts routes of its own; `loopbench why --app` counts one of yours",
}
"""Subcommands that take no application of a person's own, and what to do instead."""


class Subcommands(Suggesting):
    """The group as help and completion see it; a subcommand is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, as its own package has it."""
        subcommand = SUBCOMMANDS.get(cmd_name)
        return None if subcommand is None else _command(subcommand)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the table, too; what is completed behind a subcommand is its own affair."""
        options = click.Command.shell_complete(self, ctx, incomplete)
        named = (
            CompletionItem(name, help=subcommand.help)
            for name, subcommand in SUBCOMMANDS.items()
            if name.startswith(incomplete)
        )
        return [*named, *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table: the commands themselves take long to import."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, subcommand.help) for name, subcommand in SUBCOMMANDS.items()]
            )


@click.group(
    cls=Subcommands, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name=PROGRAM)
def cli() -> None:
    """Measure asynchronous web servers, and applications of yours on them."""


def _command(subcommand: Subcommand) -> click.Command:
    module = "loadtests.cli" if subcommand.package == _LOADTESTS else None
    name = f"loopbench.{module}" if module else f"{subcommand.package}.__main__"
    group: Any = importlib.import_module(name).cli
    if subcommand.name is None:
        return cast(click.Command, group)
    return cast(click.Command, group.get_command(click.Context(group), subcommand.name))


def _expect_no_app(name: str, words: list[str]) -> None:
    """End in one line where a subcommand is given an application that it does not take."""
    if name in WITHOUT_APP and any(word.partition("=")[0] == "--app" for word in words):
        # An exit status of 2 says of a regression check that it cannot tell.
        status = BROKEN if name == "regression" else _WRONG_USAGE
        fail(f"{name} takes no --app: {WITHOUT_APP[name]}", status)


def main() -> None:
    """Hand the words to the entry point that knows them; else show the help, or complete."""
    sys.argv[0] = PROGRAM
    subcommand = SUBCOMMANDS.get(sys.argv[1]) if len(sys.argv) > 1 else None
    completing = f"_{PROGRAM.upper()}_COMPLETE" in os.environ
    if subcommand is not None and not completing:
        _expect_no_app(sys.argv[1], sys.argv[2:])
        if subcommand.name is not None:
            sys.argv[1] = subcommand.name
        else:
            sys.argv[:2] = [f"{PROGRAM} {sys.argv[1]}"]
        importlib.import_module(f"{subcommand.package}.__main__").main()
        return
    with standard_streams():
        carry_out(cli, PROGRAM, {})


if __name__ == "__main__":
    main()
