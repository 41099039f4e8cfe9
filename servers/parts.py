"""The parts of a stack: an application, a server with its manager, and a loop.

`servers.stacks` has the tables of them, and combines them to the stacks that can be measured.
Everything that is known of a part stands in its row there, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

AIOHTTP = "aiohttp"
ASGI = "ASGI"
WSGI = "WSGI"
BARE = "bare"
"""Interfaces between an application and a server. BARE is the suite's own, see
`servers.adapters.bare`."""

Parser = Literal["h11", "httptools"]
"""What reads uvicorn's requests."""

Options = Mapping[str, str | bool]
"""What the `serve` of a server takes by name beside the settings."""

READY_S = 30.0
"""How long the start of a server may take, unless something else is asked for."""


@dataclass(frozen=True, slots=True)
class Application:
    """What a server runs.

    framework: its name, as results have it. interface: what kind of server can run it.
    module: holds `create_app(settings)`; imported when a stack with it is used, never before.
    packages: the distributions whose versions belong into a result.
    optional: the group of requirements that brings its packages, where `make setup` alone does
        not.
    yardstick: it is there to measure the measuring with, not to be chosen.
    holes: the Cases and Exchanges of the contract that it cannot keep, by name or by a pattern
    of names (fnmatch), and why; see `servers.promises.holes`.
    """

    framework: str
    interface: str
    module: str
    packages: tuple[str, ...] = ()
    optional: str | None = None
    yardstick: bool = False
    holes: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Manager:
    """A server's own manager of worker processes.

    module: holds `manage`, see `servers.managers.table`. packages, optional: what it needs beside
    the stack's own, as in Application.
    command: as in Server, with two workers.
    differs: the settings in force in which its workers are not as the server alone is, and why.
    """

    name: str
    module: str
    packages: tuple[str, ...] = ()
    optional: str | None = None
    differs: Mapping[str, str] = field(default_factory=dict, hash=False)
    command: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Server:
    """What listens and speaks HTTP.

    interface: the kind of application that it runs. adapter: the module that holds `serve`, see
        `servers.adapters.protocol`; imported when a stack with it is used, never before.
    options: of `serve`. own_options: those that are others for a person's own application.
    packages, optional: as in Application.
    manager: how it runs as several processes; without one, the reason.
    holes: what it cannot keep, and why, as in Application. holes_with: the same of a single
        framework on it, by the framework's name.
    differs: the settings in force (see servers.lifecycle.parity) in which it is not as the others
        are, and why.
    command: by loop, what a person writes behind `python -m` to start it, with {module}, {host},
        {port} and {loop} to be filled in; without one where it has no command line.
    """

    name: str
    interface: str
    adapter: str
    packages: tuple[str, ...]
    manager: Manager | str
    optional: str | None = None
    options: Options = field(default_factory=dict, hash=False)
    own_options: Options = field(default_factory=dict, hash=False)
    holes: Mapping[str, str] = field(default_factory=dict, hash=False)
    holes_with: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    differs: Mapping[str, str] = field(default_factory=dict, hash=False)
    command: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Loop:
    """The event loop that a server runs on. The columns are those of Server."""

    name: str
    packages: tuple[str, ...] = ()
    optional: str | None = None
    differs: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class OwnApp:
    """Where a person's application is, and how it comes about.

    target: see `servers.custom.target`. folder: the working folder, absolute.
    path: the target of a GET that shows that it serves, whatever it answers. None: nothing is
    asked, and that a server accepts connections is enough.
    arguments: what a factory is given by name.
    ready_s: how long its import, and its start to the first answer, may take.
    kind, made: what a look at it found: one of Kind, and whether the target is called to have it.
    None: nobody has looked.
    in_loop: whether it is imported and made inside a running loop, since it needs one.
    until: the line of its file at which the import ends, since a server of its own starts there.
    """

    target: str
    folder: str
    path: str | None
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    ready_s: float = READY_S
    kind: str | None = None
    made: bool | None = None
    in_loop: bool = False
    until: int | None = None
