"""`python -m servers run`: one server in the foreground, for a person with curl."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from loopbench.cli_names import NameIn
from loopbench.cli_types import Parsed, Seconds, together
from loopbench.servers import stacks
from loopbench.servers.contract.limits import WAIT_MS_LIMIT
from loopbench.servers.custom.look import look_at
from loopbench.servers.custom.stacks import HOSTS, rows
from loopbench.servers.lifecycle import runner
from loopbench.servers.lifecycle.in_loop import Server
from loopbench.servers.parts import OwnApp
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
)

if TYPE_CHECKING:
    from loopbench.servers.probe.probe import Probe


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


@click.command("run", short_help="Run STACK in the foreground.")
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


LOOKING_CPU = 0.1
"""The share of a CPU that may go into looking at stalls for a person, who takes no figures
meanwhile and wants to hear of each."""


@contextmanager
def _watching() -> Iterator[Probe]:
    """A Probe that prints each stall, in the thread that has looked at it."""
    # Only for --watch: a server that nobody watches starts without the probe.
    from loopbench.servers.probe import probe
    from loopbench.servers.probe.stalls.printing import StallPrinter

    printer = StallPrinter(click.echo)
    with probe.watching(on_stall=printer, most_cpu=LOOKING_CPU) as watching:
        yield watching
    printer.flush()


def _print_url(server: Server) -> None:
    click.echo(server.url)
    sys.stdout.flush()
