"""What `bench` takes for more than one machine, and the command `worker`."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from loopbench.cli_types import Parsed, Seconds, together
from loopbench.loadtests.distributed.fleet import Fleet
from loopbench.loadtests.distributed.keys import make_key, read_key
from loopbench.loadtests.distributed.preflight import check_hosts
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.address import is_host, parse_address
from loopbench.loadtests.hosts.cpus import allowed_cpus
from loopbench.loadtests.hosts.server_location import HERE, PLAIN, Place
from loopbench.loadtests.messages.workers import MASTER_LOST_AFTER_S
from loopbench.servers.errors import ServerError
from loopbench.servers.supervision.control_pipe import ControlError

MOST_WORKERS = 1000
LONGEST_PATIENCE_S = 86_400.0


def _address(text: str) -> str:
    if parse_address(text)[1] == 0:
        raise ValueError(f"{text!r}: both sides must know the port, and 0 is none")
    return text


ADDRESS = Parsed("address", _address)
"""HOST:PORT."""

fleet_options = together(
    click.option(
        "--workers",
        type=click.IntRange(1, MOST_WORKERS),
        metavar="N",
        help="Share the loads among N Locust workers on this machine.",
    ),
    click.option(
        "--expect-workers",
        type=click.IntRange(1, MOST_WORKERS),
        metavar="N",
        help="Wait for N workers that `loadtests worker` starts on load hosts.",
    ),
    click.option(
        "--bind",
        type=ADDRESS,
        metavar="HOST:PORT",
        help="Where the master listens for them; 127.0.0.1:5557 unless given.",
    ),
    click.option(
        "--key-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The secret that workers must share; made where there is no such file. Without it, "
        "one is made for the time of the bench where --bind is not loopback.",
    ),
)
"""Those that `fleet_of` takes."""

DEFAULT_BIND = "127.0.0.1:5557"


def fleet_of(
    workers: int | None, expect_workers: int | None, bind: str | None, key_file: Path | None
) -> Fleet | None:
    """The fleet that the options ask for; None for one generator. Makes the key file where there
    is none. Raises UsageError and HarnessError."""
    if workers is not None and expect_workers is not None:
        raise click.UsageError("--workers starts them here, --expect-workers waits for others")
    if bind is not None and expect_workers is None:
        raise click.UsageError("--bind needs --expect-workers; local workers need no open port")
    if key_file is not None and expect_workers is None:
        raise click.UsageError("--key-file needs --expect-workers; local workers have a key anyway")
    if expect_workers is not None:
        if key_file is not None:
            read_key(key_file if os.path.lexists(key_file) else make_key(key_file))
            key_file = key_file.absolute()
        return Fleet(expect_workers, bind or DEFAULT_BIND, remote=True, key_file=key_file)
    return None if workers is None else Fleet(workers)


def _plain_word(text: str) -> str:
    if not PLAIN.fullmatch(text):
        raise ValueError(f"{text!r} would not pass a shell as it is")
    return text


PLAIN_WORD = Parsed("path", _plain_word)
"""A path that no shell on the way changes."""

place_options = together(
    click.option(
        "--server-via",
        metavar="COMMAND",
        help="Put this in front of the servers' command, as in 'ssh bench-host'.",
    ),
    click.option(
        "--server-host",
        metavar="ADDRESS",
        help="The address that the servers bind to over there, and that the load goes to.",
    ),
    click.option(
        "--server-python", type=PLAIN_WORD, metavar="PATH", help="The interpreter over there."
    ),
    click.option(
        "--server-root", type=PLAIN_WORD, metavar="DIR", help="The folder of the suite over there."
    ),
    click.option(
        "--server-cpus", metavar="LIST", help="Bind the servers to these CPUs over there, as in 2."
    ),
)
"""Those that `place_of` takes."""


def place_of(
    server_via: str | None,
    server_host: str | None,
    server_python: str | None,
    server_root: str | None,
    server_cpus: str | None,
) -> Place:
    """Where the servers run by the options. Raises UsageError."""
    if server_via is None:
        given = (server_host, server_python, server_root, server_cpus)
        if any(option is not None for option in given):
            raise click.UsageError("--server-host and the like need --server-via")
        return HERE
    if server_host is None:
        raise click.UsageError("--server-via needs --server-host, the address to bind to there")
    if not is_host(server_host):
        raise click.UsageError(f"--server-host: {server_host!r} is no address")
    try:
        via = tuple(shlex.split(server_via))
    except ValueError as error:
        raise click.UsageError(f"--server-via: {error}") from None
    if not via:
        raise click.UsageError("--server-via is empty")
    return Place(
        via,
        server_host,
        server_python or HERE.python,
        server_root or HERE.root,
        None if server_cpus is None else cpus_of(server_cpus),
    )


def elsewhere_of(
    *,
    workers: int | None,
    expect_workers: int | None,
    bind: str | None,
    key_file: Path | None,
    **server: str | None,  # of place_options
) -> tuple[Fleet | None, Place]:
    """What `fleet_of` and `place_of` make of their options. Raises UsageError."""
    return fleet_of(workers, expect_workers, bind, key_file), place_of(**server)


def cpus_of(text: str) -> frozenset[int]:
    """CPU numbers with commas between. Raises UsageError."""
    if not re.fullmatch(r"[0-9]{1,4}(,[0-9]{1,4})*", text):
        raise click.UsageError(f"{text!r} is no list of CPUs as in 2,3")
    return frozenset(map(int, text.split(",")))


@click.command(short_help="Share the load of a bench on another host.")
@click.option(
    "--master",
    type=ADDRESS,
    required=True,
    metavar="HOST:PORT",
    help="Where the bench's master listens.",
)
@click.option("--cpus", metavar="LIST", help="Keep to these CPUs, as in 2,3.")
@click.option(
    "--patience",
    type=Seconds(2.0, LONGEST_PATIENCE_S),
    default=MASTER_LOST_AFTER_S,
    show_default=True,
    metavar="SECONDS",
    help="End when nothing was heard of the master for so long.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A copy of the bench's key file.",
)
def worker(master: str, cpus: str | None, patience: float, key_file: Path | None) -> None:
    """Offer a share of each load of a bench that runs elsewhere, until it ends.

    Start one a CPU. Without --key-file the connection carries no authentication: join only a
    master that you trust, over a network that you trust or through a tunnel.
    """
    if cpus is not None:
        chosen, allowed = cpus_of(cpus), allowed_cpus()
        if allowed is not None and not chosen.issubset(allowed):
            raise click.UsageError(f"--cpus {cpus}: this machine lets it use {allowed} only")
    # Another program in this process's place: importing Locust patches whoever does it.
    module = ("-m", "loopbench.loadtests.distributed.worker", "--master", master)
    options = ["--cpus", cpus or "", "--patience", str(patience)]
    if key_file is not None:
        read_key(key_file)
        options += ["--key-file", str(key_file)]
    os.execv(sys.executable, [sys.executable, *module, *options])


@click.command("check-hosts", short_help="Are other hosts ready for a bench?")
@fleet_options
@place_options
def check_hosts_command(**elsewhere: Any) -> None:
    """Look at the hosts of a bench before it: versions, CPUs, round trips, files, ports.

    Takes those options of `bench` that name hosts and workers, starts server and workers as that
    does, and tries a load of a second. Exit status 1 where something must be mended first.
    """
    fleet, place = elsewhere_of(**elsewhere)
    try:
        wrong = check_hosts(fleet or Fleet(1), place, click.echo)
    except ServerError as error:
        raise HarnessError(str(error)) from None
    except ControlError as error:
        raise HarnessError(
            f"the server could not be read under the trial's load: {error}"
        ) from None
    for line in wrong:
        click.echo(f"mend: {line}")
    if wrong:
        raise HarnessError(f"{len(wrong)} to mend before a run")
    click.echo("nothing stands against a run")
