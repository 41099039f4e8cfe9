"""The options of `bench` about a person's own application."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import click

from loopbench.loadtests.scenarios.custom import Own, prepare
from loopbench.servers.custom.stacks import HOSTS
from loopbench.servers.supervision.cli_names import NameIn

_OPTIONS: tuple[Callable[[Callable[..., Any]], Callable[..., Any]], ...] = (
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
        metavar="FILE.toml",
        help="Offer it the scenarios of this file.",
    ),
)


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options, in their order; `wanted` takes their values."""
    return reduce(lambda inner, option: option(inner), reversed(_OPTIONS), command)


def wanted(
    app: str | None,
    folder: Path,
    gets: tuple[str, ...],
    file: Path | None,
    on: tuple[str, ...],
    others: bool,
) -> Own | None:
    """A person's own application, where they name one; a usage error for what does not fit it."""
    if app is None:
        if gets or file or on:
            raise click.UsageError("--on, --get and --scenarios need --app with your application")
        return None
    if others:
        raise click.UsageError(
            "--app measures your own application; leave out --stack and --scenario"
        )
    return prepare(app, folder, gets, file, tuple(dict.fromkeys(on)))
