"""`loopbench init`: a configuration for a person's application, from its own routes."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from loopbench.loadtests.bench.init.pages import Page, asked
from loopbench.loadtests.configuration import FILE
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.custom.options import APP_DIR, argument
from loopbench.loadtests.scenarios.custom.waiting import telling
from loopbench.servers.contract.asking import Unbounded, ask
from loopbench.servers.contract.http import get
from loopbench.servers.custom.look import Looks, look_at
from loopbench.servers.custom.routers import written
from loopbench.servers.custom.stacks import fitting, rows
from loopbench.servers.errors import ServerError
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.parts import ASGI, OwnApp
from loopbench.servers.supervision.control_pipe import ControlError

_DOCUMENT = "/openapi.json"
HERE = Path()
_MOST = 10
"""Loads that are switched on; the others stand there as comments."""

_SAID = 5
"""Routes that a note names; the file has them all."""

_KNOWN = "in a router of aiohttp, Quart, Starlette, FastAPI or Litestar, or in /openapi.json"
"""Where routes are looked for."""

_BEGIN = """\
# Options of `loopbench bench`, named as on the command line, which goes before this file.
app = {app}
{app_dir:25}# where it is imported, and its working folder
# on = [{on}]
# rounds = 3             # how often each load is measured, each time in a fresh process
# duration = 1.8         # seconds that are measured
# warmup = 0.5           # seconds before it
# ready-s = 30.0         # how long import and start may take

# What a function that makes the application is given.
{arguments}

# The loads, a table each. users: a closed loop of so many; rate_rps: arrivals a second instead.
# Beside them: method, headers, body; check = "status" where the answer changes now and then.
# Only GETs without a parameter were asked; what wants a value or a body is yours to add.
"""

_OTHER_ROUTES = "# Routes that are yours to add:"

_NO_ARGUMENTS = ("# [arguments]", '# config = "dev.toml"')

_OTHERS = """
# Other kinds of load, to be taken out of the comment.
#
# [loads.reading]
# path = ["/", "/news"]
# users = 32
# think_s = [0.2, 2]     # seconds that a user waits after an answer; or one number
#
# [loads.events]
# kind = "stream"        # an answer that need not end: time to the first event, events a second
# path = "/events"
# events = "sse"         # or "lines": an event a line
# users = 20
#
# [loads.messages]
# kind = "echo"          # a WebSocket that sends each message back
# path = "/ws"
# message_bytes = 32
# users = 1
"""


@click.command(short_help="Write loopbench.toml for an application.")
@click.argument("app", metavar="MODULE:NAME")
@click.option(
    "--arg",
    "arguments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Give this to the function that makes it (repeatable).",
)
@APP_DIR
@click.option("--force", is_flag=True, help=f"Write over a {FILE} that is there.")
def init(app: str, arguments: tuple[str, ...], app_dir: Path, force: bool) -> None:
    """Write loopbench.toml here, for the application MODULE:NAME and the pages that it has.

    Its routes are those of its own router, or of the OpenAPI document that it serves. Each is asked
    once: a stream is written as one, and so is a WebSocket that sends a message back. What cannot
    be loaded as it is stands there as a comment, and notes say what was left out.
    """
    file = Path(FILE)
    if file.exists() and not force:
        raise click.UsageError(f"{FILE} is there already; --force writes over it")
    given = dict(map(argument, arguments))
    own = OwnApp(app, str(app_dir.resolve()), None, given)
    try:
        with telling(f"importing {app}"):
            looks = look_at(own)
    except (ServerError, ControlError) as error:
        raise HarnessError(str(error)) from error
    with telling(f"starting {app}, and asking its pages"):
        pages, others = _pages(own, looks)
    text = _text(app, fitting(looks.kind), pages, arguments, app_dir, others)
    file.write_text(text, encoding="utf-8")
    for note in (*looks.notes, *_left_out(pages, others)):
        click.echo(f"note: {note}", err=True)
    click.echo(f"{FILE}: {_counted(pages)}; {_next(pages)}")


def _pages(own: OwnApp, looks: Looks) -> tuple[list[Page], list[str]]:
    """Its pages, each asked once where it starts, and its other routes. Where it does not start,
    its router knows them still, and a bench will say it again."""
    (stack,) = rows(own, looks).values()
    try:
        with server_process(stack) as server:
            paths, others = list(looks.routes), list(looks.others)
            if not (paths or others) and looks.kind == ASGI:
                paths, others = _served(server.host, server.port)
            if not (paths or others or looks.sockets):
                click.echo(f"note: no routes were found {_KNOWN}: / was asked", err=True)
                paths = ["/"]
            pages = asked(server.host, server.port, paths, looks.sockets, looks.hosts)
            return [_within(number, page) for number, page in _numbered(pages)], others
    except (ServerError, ControlError) as error:
        if not looks.routes:
            raise HarnessError(str(error)) from error
        click.echo(f"note: its pages were not asked: {error}", err=True)
        return [Page(path) for path in looks.routes], list(looks.others)


def _numbered(pages: Iterable[Page]) -> Iterator[tuple[int, Page]]:
    """With how many before each can be loaded as they are."""
    number = 0
    for page in pages:
        yield number, page
        number += page.why_not is None


def _within(number: int, page: Page) -> Page:
    if page.why_not is not None or number < _MOST:
        return page
    return replace(page, why_not=f"{_MOST} loads are enough to begin with")


def _left_out(pages: list[Page], others: list[str]) -> Iterator[str]:
    """What of the application will not be loaded, in a sentence each."""
    reasons: dict[str, list[str]] = {}
    for page in pages:
        if page.why_not is not None:
            reasons.setdefault(page.why_not, []).append(page.path)
    for why_not, paths in reasons.items():
        yield f"left out {_some(paths)}: {why_not}"
    if others:
        yield (
            f"not asked, since each wants a value or a body: {_some(others)}; add what you want of "
            f"these to {FILE}"
        )
    for name in dict.fromkeys(
        value for page in pages for key, value in page.headers if key == "Host"
    ):
        yield f"it answers for {name} alone: {FILE} sends that as the Host"


def _some(names: list[str]) -> str:
    left = len(names) - _SAID
    return ", ".join(names[:_SAID]) + (f" and {left} more" if left > 0 else "")


def _counted(pages: list[Page]) -> str:
    streams = sum(page.events is not None for page in pages)
    echoes = sum(page.echo is not None and page.why_not is None for page in pages)
    commented = sum(page.why_not is not None for page in pages)
    text = f"{len(pages)} page{'s' if len(pages) != 1 else ''}"
    text += f", {streams} of them streams" if streams else ""
    text += f", {echoes} of them WebSockets" if echoes else ""
    return text + (f", {commented} commented out, with the reason" if commented else "")


def _next(pages: list[Page]) -> str:
    """What is to be done with the file."""
    if all(page.why_not is not None for page in pages):
        return "add a page of yours to it, then: loopbench bench"
    return "measure them by: loopbench bench"


def _served(host: str, port: int) -> tuple[list[str], list[str]]:
    """The paths of GETs without a parameter that an OpenAPI document names, and its other routes;
    empty without one."""
    try:
        answer = ask(host, port, get(_DOCUMENT))
        document: Any = json.loads(answer.body) if answer.status == 200 else {}
        paths = document.get("paths", {})
        named = [(path, method) for path, operations in paths.items() for method in operations]
    except (Unbounded, OSError, http.client.HTTPException, ValueError, AttributeError, TypeError):
        return [], []  # it serves none
    plain = [path for path, method in named if method == "get" and "{" not in path]
    others = [
        f"{method.upper()} {path}"
        for path, method in named
        if method in _METHODS and (method != "get" or "{" in path)
    ]
    return [written(path, kept="%") for path in plain], others


_METHODS = ("get", "post", "put", "patch", "delete")
"""Those of OpenAPI that are written: a path has other keys, too."""


def _text(
    app: str,
    servers: list[str],
    pages: list[Page],
    arguments: tuple[str, ...] = (),
    app_dir: Path = HERE,
    others: Iterable[str] = (),
) -> str:
    """arguments: as `--arg` has them. others: routes that were not asked."""
    table = "\n".join(("[arguments]", *map(_line, arguments)) if arguments else _NO_ARGUMENTS)
    names = ", ".join(f'"{name}"' for name in servers)
    place = f"{'# ' if app_dir == HERE else ''}app-dir = {json.dumps(str(app_dir))}"
    text = _BEGIN.format(app=json.dumps(app), app_dir=place, on=names, arguments=table)
    if others:
        text += "".join(
            f"{line}\n" for line in (_OTHER_ROUTES, *(f"#   {route}" for route in others))
        )
    taken: set[str] = set()
    for page in pages:
        name = re.sub(r"[^A-Za-z0-9]+", "-", page.path).strip("-").lower()[:40] or "root"
        while name in taken:
            name += "-2"
        taken.add(name)
        sign = "" if page.why_not is None else "# "
        text += "\n" + (f"# Left out: {page.why_not}.\n" if page.why_not else "")
        text += "".join(f"{sign}{line}\n" for line in _lines(name, page))
    return text + _OTHERS


def _lines(name: str, page: Page) -> Iterator[str]:
    """A page as the table of its load."""
    yield f"[loads.{name}]"
    if page.events is not None:
        yield 'kind = "stream"'
        yield f"events = {json.dumps(page.events)}"
    if page.echo is not None:
        yield 'kind = "echo"'
    yield f"path = {json.dumps(page.path)}"
    if page.headers:
        headers = ", ".join(f"{name} = {json.dumps(value)}" for name, value in page.headers)
        yield f"headers = {{ {headers} }}"
    if page.echo is not None and page.echo.to_all:
        yield "users = 1              # it sends a message to all: more would hear each other"
    else:
        yield "users = 32"


def _line(given: str) -> str:
    """An argument as a line of the file: what is TOML as it is written, any other as a text."""
    name, value = argument(given)
    written = given.partition("=")[2]
    return f"{name} = {json.dumps(written) if value == written else written}"
