"""What a thread's Python frames say at one instant: where it is, in which route, which callback."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

from loopbench.servers.probe.stalls.stall import Frame

MOST_FRAMES = 6
"""How many frames of a stall are kept, from the innermost on."""

_PROBE = str(Path(__file__).resolve().parents[1])
_PROBE_LINKED = str(Path(__file__).parents[1])
_STANDARD = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), "<frozen"})
_INSTALLED = ("site-packages", "dist-packages")

_COLLECTOR = f"{Path(__file__).resolve().parents[1].name}/garbage_collector.py"
_LIFECYCLE = tuple(
    str(folder / "lifecycle") for folder in (Path(_PROBE).parent, Path(_PROBE_LINKED).parent)
)
"""What runs a server here: its frames are around every callback, and are nobody's code."""

_REQUESTS = ("aiohttp.web_request", "werkzeug.sansio.request")
"""The modules of frameworks' classes of requests, which keep the path in the instance."""

_CONNECTIONS = ("quart.asgi",)
"""The modules of frameworks' classes that keep the scope of a connection in the instance: theirs
are the frames around what a handler gives to be streamed."""

_SCOPES = ("http", "websocket")

LOOK_UPS = frozenset({"getaddrinfo", "getfqdn", "create_connection"})
"""Functions of the standard library's socket.py that look a name up."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames of one thread, the probe's own left out.

    frames: the innermost few, innermost first. inner: the innermost outside the standard library
    and the code that runs a server here.
    position: code and instruction of the innermost frame: the same again means that it has not
    moved in between. route: of the suite's, else the path of the request that a frame holds.
    own_route: whether it is a route of the suite's. callback: which callback of the loop's turn
    runs, and of how many; known of asyncio's own loop only. look_up: whether a name is looked up.
    collecting: whether the probe was being told of the collector. That is Python code, in which a
    call into C that makes objects may lose the interpreter's lock: it is at `position` all the
    same.
    """

    frames: tuple[Frame, ...]
    inner: Frame | None
    position: tuple[int, int]
    route: str | None
    own_route: bool
    callback: tuple[int, int] | None
    look_up: bool
    collecting: bool = False


def read_stack(innermost: FrameType) -> Stack | None:
    """The Stack from a thread's innermost frame on; None where all frames are the probe's."""
    frames: list[Frame] = []
    inner = position = route = path = callback = None
    look_up = collecting = False
    for frame in _outwards(innermost):
        code = frame.f_code
        if _of_probe(code.co_filename):
            route = route or _watched_route(frame)
            if position is None:
                collecting = collecting or code.co_filename.endswith(_COLLECTOR)
            continue
        if position is None:
            position = (id(code), frame.f_lasti)
        standard = _of_nobody(code.co_filename)
        if len(frames) < MOST_FRAMES or (inner is None and not standard):
            summary = Frame(short_file(code.co_filename), frame.f_lineno or 0, code.co_qualname)
            if len(frames) < MOST_FRAMES:
                frames.append(summary)
            if inner is None and not standard:
                inner = summary
        if standard:
            look_up = look_up or (code.co_name in LOOK_UPS and "socket.py" in code.co_filename)
            callback = callback or _callback(frame)
        else:
            path = path or _path(frame)
    if position is None:
        return None
    return Stack(
        tuple(frames),
        inner,
        position,
        route or path,
        route is not None,
        callback,
        look_up,
        collecting,
    )


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _of_probe(file: str) -> bool:
    return file.startswith((_PROBE, _PROBE_LINKED))


@lru_cache(maxsize=4096)
def _of_nobody(file: str) -> bool:
    """Whether a file is of the standard library, or runs a server here."""
    library = file.startswith(_STANDARD) and not any(f"/{part}/" in file for part in _INSTALLED)
    return library or file.startswith(_LIFECYCLE)


@lru_cache(maxsize=4096)
def short_file(file: str) -> str:
    """A file by its place under the packages, the standard library or the working folder: rows
    are read elsewhere, and are to tell nothing of this machine's folders."""
    for part in _INSTALLED:
        _, separator, rest = file.rpartition(f"/{part}/")
        if separator:
            return rest
    for folder in (*_STANDARD, os.getcwd()):
        if file.startswith(folder + os.sep):
            return file[len(folder) + 1 :]
    return os.sep.join(Path(file).parts[-2:])


def _watched_route(frame: FrameType) -> str | None:
    """The route's name, where the frame is the probe's around a handler."""
    if frame.f_code.co_name not in ("awaited", "timed"):
        return None
    return getattr(frame.f_locals.get("route"), "name", None)


def _callback(frame: FrameType) -> tuple[int, int] | None:
    """See Stack.callback, where the frame is the turn of asyncio's loop."""
    if frame.f_code.co_name != "_run_once":
        return None
    variables = frame.f_locals
    number, of = variables.get("i"), variables.get("ntodo")
    return (number + 1, of) if isinstance(number, int) and isinstance(of, int) else None


def _path(frame: FrameType) -> str | None:
    """The path of the request that a frame of a framework or an application holds.

    Only what lies in plain dicts is looked at: an attribute of an object of theirs could run
    code of theirs.
    """
    variables = frame.f_locals
    connection = variables.get("self")
    if type(connection).__module__ in _CONNECTIONS:
        scope = vars(connection).get("scope")
    else:
        scope = variables.get("scope")
    if type(scope) is dict and scope.get("type") in _SCOPES:
        return _text(scope.get("path"))
    request = variables.get("request")
    if not any(base.__module__.startswith(_REQUESTS) for base in type(request).__mro__):
        return None  # a proxy, too: whatever is asked of it runs code
    held = vars(request)
    message: Any = held.get("_message")  # aiohttp's, whose class is the parser's own
    return _text(held.get("path") if message is None else getattr(message, "path", None))


def _text(value: Any) -> str | None:
    return value.partition("?")[0] if type(value) is str else None
