"""The handlers of each application are those of the contract's routes, and no others."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from loopbench.servers.apps.handlers import Handlers
from loopbench.servers.contract.routes import ROUTES, WS_ROUTES, Route
from loopbench.servers.installed import available
from loopbench.servers.stacks import STACKS

NAMES = ("aiohttp_app", "quart_app", "flask_app", "asyncio_app")
"""The modules with handlers of their own; the bare ASGI application shares the last one's."""


def _module(name: str) -> Any:
    path = f"loopbench.servers.apps.{name}"
    stack = next(one for one in STACKS.values() if one.application == path)
    obstacle = available(stack)
    if obstacle is not None:
        pytest.skip(obstacle)
    return importlib.import_module(path)


@pytest.mark.parametrize("name", NAMES)
def test_each_application_has_a_handler_for_each_route(name: str) -> None:
    """None is missing, none is left over, and each is called as its route is."""
    handles = _module(name).handles
    found = dict(handles.of(ROUTES))
    assert tuple(found) == ROUTES
    expect_none(handles, WS_ROUTES)
    shared = {"not_here", "count", "backed", "<lambda>"}
    for route, handler in found.items():
        if handler.__name__ not in shared:
            assert handler.__name__.rstrip("_").replace("_", "-") == route.name


@pytest.mark.parametrize("name", ["aiohttp_websockets", "quart_websockets"])
def test_each_framework_with_websockets_has_a_handler_for_each(name: str) -> None:
    """None is missing, and none is left over."""
    sockets = importlib.import_module(f"loopbench.servers.apps.{name}").sockets
    assert tuple(dict(sockets.of(WS_ROUTES))) == WS_ROUTES
    expect_none(sockets, ROUTES)


def expect_none(handlers: Handlers[Any], routes: tuple[Route, ...]) -> None:
    for route in routes:
        with pytest.raises(LookupError, match=f"no handler for the route {route.name}"):
            list(handlers.of([route]))


def test_a_handler_of_no_route_is_refused_as_is_a_second_one_of_the_same() -> None:
    """A name that is misspelt shows when the module is imported, not as a 404 under load."""
    handles: Handlers[Any] = Handlers()

    def plian() -> None: ...

    with pytest.raises(LookupError, match="plian is no route of the contract"):
        handles(plian)

    handles.under("plain")(plian)
    with pytest.raises(LookupError, match="plain is no route of the contract, or has a handler"):
        handles.under("plain")(plian)


def test_an_application_with_a_route_too_few_is_not_made() -> None:
    """The route without a handler is named."""
    handles: Handlers[Any] = Handlers()
    with pytest.raises(LookupError, match="no handler for the route index"):
        list(handles.of(ROUTES))


def test_a_handler_is_kept_as_it_is() -> None:
    """Nothing is put around it: a request costs what it did."""
    handles: Handlers[Any] = Handlers()

    def async_() -> None: ...

    assert handles(async_) is async_
    assert [handler for _, handler in handles.of(r for r in ROUTES if r.name == "async")] == [
        async_
    ]
