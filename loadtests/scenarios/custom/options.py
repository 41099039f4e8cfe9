"""The options of `bench` about a person's own application."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from loopbench.cli_names import NameIn
from loopbench.cli_types import as_one, together
from loopbench.loadtests.configuration import Configuration
from loopbench.loadtests.scenarios.custom.loads_file import MOST_USERS
from loopbench.loadtests.scenarios.custom.locustfile import USERS
from loopbench.loadtests.scenarios.custom.scenarios import Own, prepare
from loopbench.servers.custom.stacks import HOSTS
from loopbench.servers.parts import READY_S


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say of a person's own application. app: None: there is none."""

    app: str | None
    app_dir: Path
    on: tuple[str, ...]
    gets: tuple[str, ...]
    file: Path | None
    headers: tuple[str, ...]
    arguments: tuple[str, ...]
    ready_s: float
    users: int | None = None
    spawn_rate: float | None = None


APP_DIR = click.option(
    "--app-dir",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Where its module is; the current folder by default.",
)

_OPTIONS = together(
    click.option(
        "--app",
        metavar="MODULE:NAME",
        help="Measure your own aiohttp, Quart or ASGI application, or what makes one.",
    ),
    APP_DIR,
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

_LOCUSTFILE_OPTIONS = together(
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

options = as_one("asked", Asked, _OPTIONS)
"""As the argument `asked` of a command; `wanted` takes it."""

with_locustfile = as_one("asked", Asked, together(_OPTIONS, _LOCUSTFILE_OPTIONS))
"""The same with what only a bench can do: how many users of a locustfile there are."""

_NOTHING = Configuration()


def wanted(asked: Asked, others: bool, configured: Configuration = _NOTHING) -> Own | None:
    """A person's own application, where they name one; a usage error for what does not fit it.

    others: whether stacks or scenarios of the suite are named, too. configured: by their file.
    What they should know of it before the load is printed.
    """
    if asked.app is None:
        if asked.gets or asked.file or asked.on or asked.headers or asked.arguments:
            raise click.UsageError(
                "--on, --get, --scenarios, --header and --arg need --app with your application"
            )
        return None
    if others:
        raise click.UsageError(
            "--app measures your own application; leave out --stack and --scenario"
        )
    own = prepare(
        asked.app,
        asked.app_dir,
        asked.gets,
        asked.file,
        tuple(dict.fromkeys(asked.on)),
        headers=tuple(map(_header, asked.headers)),
        arguments={**configured.arguments, **dict(map(argument, asked.arguments))},
        ready_s=asked.ready_s,
        tables={} if asked.gets or asked.file else configured.loads,
        tables_under=configured.loads_under(),
        users=asked.users,
        spawn_rate=asked.spawn_rate,
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
