"""The options of `bench` about a person's own application."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from loopbench.cli_names import NameIn
from loopbench.cli_types import together
from loopbench.loadtests.configuration import Configuration
from loopbench.loadtests.scenarios.custom.loads_file import MOST_USERS
from loopbench.loadtests.scenarios.custom.locustfile import USERS
from loopbench.loadtests.scenarios.custom.scenarios import Own, prepare
from loopbench.servers.custom.stacks import HOSTS
from loopbench.servers.parts import READY_S

options = together(
    click.option(
        "--app",
        metavar="MODULE:NAME",
        help="Measure your own aiohttp, Quart or ASGI application, or what makes one.",
    ),
    click.option(
        "--app-dir",
        type=click.Path(file_okay=False, exists=True, path_type=Path),
        default=Path(),
        metavar="DIR",
        help="Where its module is; the current folder by default.",
    ),
    click.option(
        "--on",
        multiple=True,
        type=NameIn("server", HOSTS),
        help=f"Run it on this server (repeatable): {', '.join(HOSTS)}.",
    ),
    click.option(
        "--get", "gets", multiple=True, metavar="PATH", help="Ask it for this (repeatable)."
    ),
    click.option(
        "--scenarios",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Offer it the scenarios of this TOML file, or the users of this locustfile (.py).",
    ),
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        help="Send this with each --get (repeatable).",
    ),
    click.option(
        "--arg",
        "arguments",
        multiple=True,
        metavar="NAME=VALUE",
        help="Give this to the function that makes it (repeatable).",
    ),
    click.option(
        "--ready-s",
        type=click.FloatRange(1, 3600),
        default=READY_S,
        show_default=True,
        metavar="SECONDS",
        help="How long its import, and its start to the first answer, may take.",
    ),
)
"""Those that `wanted` takes."""

locustfile_options = together(
    click.option(
        "--users",
        type=click.IntRange(1, MOST_USERS),
        help=f"So many users of the locustfile; {USERS} by default.",
    ),
    click.option(
        "--spawn-rate",
        type=click.FloatRange(0, min_open=True),
        metavar="RATE",
        help="So many of them begin a second, before anything counts; all at once by default.",
    ),
)
"""Those that it takes beside, about a locustfile."""

_NOTHING = Configuration()


def wanted(
    app: str | None,
    app_dir: Path,
    gets: tuple[str, ...],
    file: Path | None,
    on: tuple[str, ...],
    others: bool,
    headers: tuple[str, ...] = (),
    arguments: tuple[str, ...] = (),
    ready_s: float = READY_S,
    users: int | None = None,
    spawn_rate: float | None = None,
    configured: Configuration = _NOTHING,
) -> Own | None:
    """A person's own application, where they name one; a usage error for what does not fit it.

    others: whether stacks or scenarios of the suite are named, too. configured: by their file.
    The rest is as the options have it. What they should know of it before the load is printed.
    """
    if app is None:
        if gets or file or on or headers or arguments:
            raise click.UsageError(
                "--on, --get, --scenarios, --header and --arg need --app with your application"
            )
        return None
    if others:
        raise click.UsageError(
            "--app measures your own application; leave out --stack and --scenario"
        )
    own = prepare(
        app,
        app_dir,
        gets,
        file,
        tuple(dict.fromkeys(on)),
        headers=tuple(map(_header, headers)),
        arguments={**configured.arguments, **dict(map(argument, arguments))},
        ready_s=ready_s,
        tables={} if gets or file else configured.loads,
        tables_under=configured.loads_under(),
        users=users,
        spawn_rate=spawn_rate,
    )
    for note in own.notes:
        click.echo(f"note: {note}", err=True)
    return own


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (colon and name.strip()):
        raise click.UsageError("--header takes 'Name: value'")
    return name.strip(), value.strip()


def argument(text: str) -> tuple[str, Any]:
    """What `--arg` gives: a name and its value, as TOML has it, or a text where it is none."""
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise click.UsageError("--arg takes NAME=VALUE, as in --arg config=dev.toml")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value
