"""`python -m servers`: list the stacks, or run one in the foreground for a person with curl."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import click

from loopbench.cli_names import NameIn
from loopbench.cli_types import Parsed, Seconds, together
from loopbench.command_line import carry_out, standard_streams
from loopbench.results.schema.json_forms import AS_JSON, json_text
from loopbench.results.schema.json_forms import STACKS as FORM
from loopbench.servers import installed, stacks
from loopbench.servers.contract.limits import WAIT_MS_LIMIT
from loopbench.servers.custom.look import look_at
from loopbench.servers.custom.stacks import HOSTS, rows
from loopbench.servers.errors import ServerError, UnknownStack
from loopbench.servers.lifecycle import runner
from loopbench.servers.lifecycle.in_loop import Server
from loopbench.servers.parts import OwnApp
from loopbench.servers.probe import probe
from loopbench.servers.probe.probe import Probe
from loopbench.servers.probe.stalls.printing import StallPrinter
from loopbench.servers.promises import holes
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import STACKS, Stack
from loopbench.servers.store_urls import (
    DATABASE_SCHEMES,
    REDIS_SCHEMES,
    UNREADABLE,
    UPSTREAM_SCHEMES,
    problem,
    readable,
    with_password_of,
    without_secrets,
)


def _url(schemes: tuple[str, ...]) -> Parsed[str]:
    """A URL that every reader splits in the same way, see store_urls. What is said of one that is
    refused holds nothing of it."""

    def parse(text: str) -> str:
        wrong = problem(text, schemes)
        if wrong is None and schemes is not UPSTREAM_SCHEMES and not readable(text):
            wrong = UNREADABLE
        if wrong is not None:
            raise ValueError(wrong)
        return text

    return Parsed("url", parse)


MOST_BYTES = 2**40

SETTING_OPTIONS: dict[str, tuple[click.ParamType[Any], str]] = {
    "wait_ms": (click.IntRange(0, WAIT_MS_LIMIT), "How long the waiting routes wait."),
    "executor_threads": (click.IntRange(1, 10_000), "Size of the loop's default executor."),
    "body_limit_bytes": (
        click.IntRange(0, MOST_BYTES),
        "The largest request body that is accepted.",
    ),
    "keep_alive_s": (Seconds(0, 86_400), "How long an idle connection is kept."),
    "grace_s": (Seconds(0, 86_400), "How long a stop waits for requests in flight."),
    "backlog": (click.IntRange(1, 65_535), "The listen backlog."),
    "reuse_port": (click.BOOL, "Whether other processes may listen on the port too."),
    "upload_limit_bytes": (
        click.IntRange(0, MOST_BYTES),
        "The largest body that `/upload` accepts.",
    ),
    "database_url": (
        _url(DATABASE_SCHEMES),
        "postgresql://… to use; by default a temporary SQLite.",
    ),
    "redis_url": (_url(REDIS_SCHEMES), "redis://… to use; by default nothing leaves the process."),
    "upstream_url": (
        _url(UPSTREAM_SCHEMES),
        "Whose pages `/fetch` gets; by default the server's own.",
    ),
    "pool_size": (click.IntRange(1, 1000), "Connections to the database, of each driver."),
    "pool_timeout_s": (Seconds(0, 86_400), "How long a request waits for one of them."),
    "debug": (click.BOOL, "The framework's and the loop's debug modes."),
}
"""The type and the help of the settings that `run` takes as options.

What only a harness can read, the probe, is none of them.
"""


setting_options = together(
    *(
        click.option(
            "--" + name.replace("_", "-"),
            type=kind,
            default=getattr(Settings(), name),
            show_default=True,
            help=text,
        )
        for name, (kind, text) in SETTING_OPTIONS.items()
    )
)
"""They, with the defaults of Settings."""


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="loopbench", prog_name="loopbench")
@click.pass_context
def cli(context: click.Context) -> None:
    """The servers that are measured: list them, or run one and talk to it."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command("list")
@click.option("--wide", is_flag=True, help="Say what each is, and name the cases that it lacks.")
@AS_JSON
def list_command(wide: bool, as_json: bool) -> None:
    """Print every stack: what it is made of, and whether it can run here."""
    if as_json:
        rows = [_as_json(stack) for stack in STACKS.values()]
        click.echo(json_text({"schema": FORM.name, "stacks": rows}))
        return
    header = [
        "STACK",
        "FRAMEWORK",
        "SERVER",
        "LOOP",
        *(["WHAT IT IS"] if wide else []),
        "RUNS HERE",
    ]
    lines = [header]
    for s in STACKS.values():
        what = [s.summary] if wide else []
        lines.append([s.name, s.framework, s.server, s.loop, *what, _runs_here(s, wide=wide)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for row in lines:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _as_json(stack: Stack) -> dict[str, object]:
    obstacle = installed.available(stack)
    return {
        "name": stack.name,
        "framework": stack.framework,
        "server": stack.server,
        "loop": stack.loop,
        "summary": stack.summary,
        "core": stack.core,
        "runs_here": obstacle is None,
        "obstacle": obstacle,
        "lacks": list(holes(stack)),
    }


def _runs_here(stack: Stack, *, wide: bool) -> str:
    obstacle = installed.available(stack)
    if obstacle is not None:
        return f"no: {obstacle}"
    lacks = holes(stack)
    if wide and lacks:
        return f"yes, but for {', '.join(lacks)}"
    count = len(lacks)
    return f"yes, but for {count} case{'s' if count != 1 else ''}" if count else "yes"


@cli.command("run", short_help="Run STACK in the foreground.")
@click.argument("stack", type=NameIn("stack", STACKS), required=False)
@click.option(
    "--app",
    "target",
    metavar="MODULE:NAME",
    help="Run an application of yours in place of a STACK, from this folder.",
)
@click.option("--on", type=NameIn("server", HOSTS), help="With --app: the server to run it on.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    help="The port to listen on; 0 picks a free one.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Print each stall of the loop as it happens, with its line and its cause.",
)
@setting_options
def run_command(
    stack: str | None,
    target: str | None,
    on: str | None,
    host: str,
    port: int,
    watch: bool,
    **settings: Any,
) -> None:
    """Run STACK in the foreground; print its URL once it accepts connections.

    SIGINT (Ctrl-C) or SIGTERM stops it gracefully; a second one ends it at once.
    """
    for name in ("database_url", "redis_url"):
        if settings[name] is not None:
            settings[name] = with_password_of(os.environ, name, settings[name])
    row = _wanted(stack, target, on)
    with _watching() if watch else nullcontext() as watching:
        runner.run(
            row,
            host=host,
            port=port,
            settings=Settings(**settings, probe=watch),
            stop=runner.StopRequest(),
            announce=_print_url,
            watching=watching,
        )


def _wanted(stack: str | None, target: str | None, on: str | None) -> Stack:
    """The row of STACKS, or one for a person's own application. Raises click.UsageError."""
    if stack is None and target is None:
        raise click.UsageError("Missing argument 'STACK'; or name an application of yours by --app")
    if stack is not None and target is not None:
        raise click.UsageError("name a STACK or an application of yours by --app, not both")
    if stack is not None:
        if on is not None:
            raise click.UsageError("--on belongs to --app; a STACK names its server itself")
        return stacks.find(stack)
    own = OwnApp(str(target), os.getcwd(), "/")
    (row,) = rows(own, look_at(own), () if on is None else (on,)).values()
    return row


@contextmanager
def _watching() -> Iterator[Probe]:
    """A Probe that prints each stall, in the thread that has looked at it."""
    printer = StallPrinter(click.echo)
    with probe.watching(on_stall=printer) as watching:
        yield watching
    printer.flush()


def _print_url(server: Server) -> None:
    click.echo(server.url)
    sys.stdout.flush()


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
