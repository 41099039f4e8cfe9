"""What a person's object is: an aiohttp or ASGI application, a WSGI one, or what makes one.

A signature says it of most objects. Middleware is often wrapped, slotted or takes `*args`, and has
no signature that says anything: such an object is asked, by a call as a server would make it.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from loopbench.servers import parts


class Kind(StrEnum):
    """What a server can do with an object.

    AIOHTTP, ASGI: serve it. WSGI, ASGI2, ASGI_CLASS: nothing, but the remedy is known. MAKER: call
    it to have an application. OTHER: nothing.
    """

    AIOHTTP = parts.AIOHTTP
    ASGI = parts.ASGI
    ASGI2 = "ASGI 2"
    WSGI = "WSGI"
    MAKER = "maker"
    OTHER = "other"


_ASK_BOUND_S = 5.0
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_ASGI_NAMES = ("receive", "send")
_WSGI_NAMES = (("environ", "start_response"), ("env", "start_response"))


def recognise(thing: object) -> Kind:
    """What it is. It may be called once, as a server would call it for a request."""
    # Where it was not imported, nothing can be an application of it.
    web: Any = sys.modules.get("aiohttp.web")
    if web is not None and isinstance(thing, web.Application):
        return Kind.AIOHTTP
    return _callable(thing) if callable(thing) else Kind.OTHER


def _callable(thing: Callable[..., Any]) -> Kind:
    parameters = _parameters(thing)
    if parameters is None or _takes_any(parameters):
        wrapped_parameters = _parameters(thing, follow_wrapped=True)
        named = (
            None
            if wrapped_parameters is None or _takes_any(wrapped_parameters)
            else _by_names(wrapped_parameters)
        )
        return named or (_asked(thing) if not inspect.isclass(thing) else Kind.MAKER)
    named = _by_names(parameters)
    if named is not None:
        return named
    # Three that have other names: an application written for itself, or a factory.
    if len(required(thing)) == 3 and not inspect.isclass(thing):
        return _asked(thing)
    return Kind.MAKER


def required(thing: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters that a call must give; empty where nobody can say."""
    return [
        parameter
        for parameter in _parameters(thing) or _parameters(thing, follow_wrapped=True) or ()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind in (*_POSITIONAL, inspect.Parameter.KEYWORD_ONLY)
    ]


def _parameters(
    thing: Callable[..., Any], *, follow_wrapped: bool = False
) -> list[inspect.Parameter] | None:
    """Of a call; None where they cannot be read. follow_wrapped: those of what it wraps."""
    # An instance may have its `__call__` in a slot, where the class has a mere descriptor.
    for called in (thing, getattr(thing, "__call__", thing)):  # noqa: B004
        try:
            signature = inspect.signature(called, follow_wrapped=follow_wrapped)
        except (TypeError, ValueError):
            continue
        return list(signature.parameters.values())
    return None


def _takes_any(parameters: list[inspect.Parameter]) -> bool:
    return any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)


def _by_names(parameters: list[inspect.Parameter]) -> Kind | None:
    """What the names of the parameters say; None where they say nothing."""
    positional = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    names = tuple(parameter.name.lstrip("_") for parameter in positional)
    if len(names) >= 3 and names[1:3] == _ASGI_NAMES:
        return Kind.ASGI
    if len(names) >= 2 and names[:2] in _WSGI_NAMES:
        return Kind.WSGI
    if names == ("scope",):
        return Kind.ASGI2
    return None


def _asked(thing: Callable[..., Any]) -> Kind:
    """Call it with a scope, as a server does, and see whether it receives or sends."""
    heard = False

    async def receive() -> dict[str, object]:
        nonlocal heard
        if heard:  # the client says no more, and stays
            await asyncio.Event().wait()
        heard = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal heard
        heard = True

    async def ask() -> Any:
        answering = thing(_scope(), receive, send)
        if isinstance(answering, Awaitable):
            return await asyncio.wait_for(answering, _ASK_BOUND_S)
        return answering

    with outside_a_loop():
        try:
            asyncio.run(ask())
        except Exception:
            # It may want a start-up first, or not be one: what it did until then says which.
            return Kind.ASGI if heard else Kind.MAKER
    return Kind.ASGI if heard else Kind.MAKER


def _scope() -> dict[str, object]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "extensions": {},
        "state": {},
    }


@contextmanager
def outside_a_loop() -> Iterator[None]:
    """Another loop can run in this thread meanwhile."""
    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(running)
        if running is not None:
            asyncio.set_event_loop(running)
