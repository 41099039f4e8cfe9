"""A person's own application: where it is found, what it is, and how a server here takes it.

Their code is imported in the process that serves it and, to see what it is, in one that does
nothing else (`python -m loopbench.servers.custom.application`); never in the harness.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loopbench.results.schema import ROOT
from loopbench.servers.errors import ServerError, StartupFailed

AIOHTTP = "aiohttp"
ASGI = "ASGI"

_LOOK_BOUND_S = 30.0
_ASGI_PARAMETERS = 3
_WSGI_PARAMETERS = 2


@dataclass(frozen=True, slots=True)
class OwnApp:
    """Where a person's application is.

    target: `module:attribute`, an application or a callable without arguments that makes one.
    folder: where the module is looked for first.
    path: the target of a GET that shows that it serves, whatever it answers.
    """

    target: str
    folder: str
    path: str


@dataclass(frozen=True, slots=True)
class Looks:
    """What an application turned out to be.

    kind: AIOHTTP or ASGI, which decides on the servers that it runs on.
    framework: the package of its class, or "ASGI" where that is the person's own.
    packages: the distribution of that framework, where there is one.
    """

    kind: str
    framework: str
    packages: tuple[str, ...]


def look_at(own: OwnApp, python: str = sys.executable) -> Looks:
    """What the application is, found out in a process of its own.

    Raises StartupFailed with cause and remedy where it cannot be had.
    """
    import subprocess  # no server needs it to start, and each imports this module

    try:
        done = subprocess.run(
            [
                python,
                "-m",
                "loopbench.servers.custom.application",
                json.dumps([own.target, own.folder]),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_LOOK_BOUND_S,
        )
    except subprocess.TimeoutExpired as error:
        raise StartupFailed(
            f"{own.target} was not imported within {_LOOK_BOUND_S:g} s; move what takes so long "
            "into the application's start-up"
        ) from error
    # What the application itself printed comes before the last line.
    last = done.stdout.rstrip().rpartition("\n")[2]
    try:
        told = json.loads(last)
        if "error" in told:
            raise StartupFailed(told["error"])
        return Looks(told["kind"], told["framework"], tuple(told["packages"]))
    except (ValueError, KeyError, TypeError) as error:
        words = done.stderr.rstrip().rpartition("\n")[2]
        raise StartupFailed(
            f"{own.target} ended the process that imported it, exit status {done.returncode}"
            f"{': ' if words else ''}{words}; it must be importable without serving"
        ) from error


async def application(own: OwnApp) -> Any:
    """The application itself, imported and, where a factory makes it, made, in this loop.

    Raises StartupFailed with cause and remedy.
    """
    found = _attribute(own)
    if _kind(found) is not None or not callable(found):
        return found
    if _required(found):
        return found  # not a factory: `kind` says what is wrong with it
    try:
        made = found()
        return await made if isinstance(made, Awaitable) and _kind(made) is None else made
    except Exception as error:
        raise StartupFailed(f"{own.target}() raised {_line(error)}") from error


def kind(own: OwnApp, app: object) -> str:
    """AIOHTTP or ASGI. Raises StartupFailed for what is neither."""
    found = _kind(app)
    if found is not None:
        return found
    if callable(app) and len(_required(app)) == _WSGI_PARAMETERS:
        raise StartupFailed(
            f"{own.target} takes two arguments, as a WSGI application does; wrap it, as in "
            "asgiref.wsgi.WsgiToAsgi(app)"
        )
    raise StartupFailed(
        f"{own.target} is {type(app).__name__}, neither an aiohttp.web.Application nor an ASGI "
        "application (a callable of scope, receive and send), nor does it make one without "
        "arguments; name one that is"
    )


def _attribute(own: OwnApp) -> Any:
    name, colon, path = own.target.partition(":")
    if not (name and colon and path):
        raise StartupFailed(
            f"{own.target!r} does not name an application; write module:attribute, "
            "as in shop.web:make_app"
        )
    if own.folder not in sys.path:
        sys.path.insert(0, own.folder)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise StartupFailed(
                f"no module {error.name!r} in the current folder or in --app-dir; name the folder "
                "that holds it by --app-dir"
            ) from error
        raise StartupFailed(
            f"{name} needs {error.name!r}, which is not installed here; install it into this "
            "environment (.venv/bin/python -m pip install …)"
        ) from error
    except Exception as error:
        raise StartupFailed(
            f"importing {name} raised {_line(error)}; correct that first"
        ) from error
    value: Any = module
    for part in path.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            public = [one for one in vars(module) if not one.startswith("_")]
            raise StartupFailed(
                f"module {name} has no {path!r}; it has {', '.join(public) or 'nothing'}"
            ) from None
    return value


def _kind(app: object) -> str | None:
    # Where it was not imported, nothing can be an application of it.
    web = sys.modules.get("aiohttp.web")
    if web is not None and isinstance(app, web.Application):
        return AIOHTTP
    if not callable(app) or inspect.isclass(app):
        return None
    return ASGI if len(_required(app)) == _ASGI_PARAMETERS else None


def _required(called: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters that a call must give by position."""
    try:
        parameters = inspect.signature(called).parameters.values()
    except (TypeError, ValueError):
        return []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        one
        for one in parameters
        if one.kind in positional and one.default is inspect.Parameter.empty
    ]


def _looks(own: OwnApp, app: object) -> Mapping[str, Any]:
    from importlib.metadata import packages_distributions  # as above; takes long

    found = kind(own, app)
    tops = [base.__module__.partition(".")[0] for base in type(app).__mro__]
    distributions = packages_distributions()
    known = next((top for top in tops if top in distributions), None)
    framework = None if known is None else distributions[known][0].lower()
    return {
        "kind": found,
        "framework": framework or ASGI,
        "packages": [] if framework is None else [framework],
    }


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _main() -> None:
    target, folder = json.loads(sys.argv[1])
    own = OwnApp(target, folder, "/")

    async def look() -> Mapping[str, Any]:
        return _looks(own, await application(own))

    try:
        told = asyncio.run(look())
    except ServerError as error:
        told = {"error": str(error)}
    print(f"\n{json.dumps(told)}", flush=True)


if __name__ == "__main__":
    _main()
