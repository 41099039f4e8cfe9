"""The routes of a person's application, as its own router has them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from loopbench.servers.custom.holdings import layers

_ANY = "*"
"""The method of a route that answers all of them, as aiohttp writes it."""

_BESIDE = frozenset({"HEAD", "OPTIONS"})
"""Methods that the frameworks add by themselves."""

_OWN = ("fastapi.", "litestar.")
"""Where the handlers of pages are that a framework adds, as those of its documentation."""

_SAFE = "/:@!$&'()*+,;="
"""What stands in a path as it is, beside letters, digits and `-._~` (RFC 3986, 3.3)."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    path: percent-encoded, as a request has it; as the router writes it where it has a parameter.
    methods: what it answers; empty of a WebSocket.
    """

    path: str
    methods: frozenset[str]
    has_parameter: bool = False
    is_socket: bool = False

    @property
    def is_page(self) -> bool:
        """Whether it can be asked for as it is."""
        return not self.has_parameter and bool(self.methods & {"GET", _ANY})


def written(path: str, kept: str = "") -> str:
    """A path that a router has as a request has it, percent-encoded. kept: what is not, too."""
    return quote(path, _SAFE + kept)


def routes(app: object) -> list[str]:
    """The paths without a parameter that it answers to a GET."""
    return _paths(route.path for route in _routes(app) if route.is_page)


def sockets(app: object) -> list[str]:
    """The paths without a parameter of its WebSockets, where its router tells them from other
    routes; aiohttp's does not."""
    routes = _routes(app)
    return _paths(route.path for route in routes if route.is_socket and not route.has_parameter)


def others(app: object) -> list[str]:
    """Its other routes, as `POST /items` and `GET /items/{id}`: to ask for one takes a value, or a
    body, that nobody else knows."""
    return _paths(name for route in _routes(app) for name in _names(route))


def _names(route: Route) -> Iterator[str]:
    methods = {"WebSocket"} if route.is_socket else set(route.methods)
    if _ANY in methods:
        methods = {"GET"}
    unnamed = _BESIDE if route.has_parameter else {*_BESIDE, "GET", "WebSocket"}
    return (f"{method} {route.path}" for method in sorted(methods - unnamed))


def _paths(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))


def _routes(app: object, within: frozenset[int] = frozenset()) -> Iterator[Route]:
    """within: the identities of what it is mounted in, which may be itself."""
    for layer in layers(app):
        if id(layer) in within:
            continue
        yield from _of_aiohttp(layer)
        yield from _of_werkzeug(layer)
        yield from _of_starlette(layer)
        for route, mounted in _mounts(layer):
            for inner in _routes(mounted, within | {id(layer)}):
                has_parameter = route.has_parameter or inner.has_parameter
                yield replace(inner, path=route.path + inner.path, has_parameter=has_parameter)


def _of_aiohttp(app: Any) -> Iterator[Route]:
    """It holds a request's path against its own decoded, but for `%25` and `%2F`."""
    web = sys.modules.get("aiohttp.web")
    if web is None or not isinstance(app, web.Application):
        return
    for route in app.router.routes():
        resource, methods = route.resource, frozenset({route.method})
        if inspect.isclass(route.handler) and issubclass(route.handler, web.View):
            names = (name for name in dir(route.handler) if name.upper() in _METHODS)
            methods = frozenset(map(str.upper, names))
        if isinstance(resource, web.PlainResource):
            yield Route(written(resource.canonical, kept="%"), methods)
        elif isinstance(resource, web.StaticResource):
            yield Route(f"{resource.canonical}/…", methods, has_parameter=True)
        elif resource is not None:
            yield Route(resource.canonical, methods, has_parameter=True)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _of_werkzeug(app: Any) -> Iterator[Route]:
    """Of Quart and Flask. They add a rule for static files, whether there are any or not."""
    routing = sys.modules.get("werkzeug.routing")
    url_map = getattr(app, "url_map", None)
    if routing is None or not isinstance(url_map, routing.Map):
        return
    for rule in url_map.iter_rules():
        if str(rule.endpoint).rpartition(".")[2] != "static":
            path = rule.rule if rule.arguments else written(rule.rule)
            methods = frozenset() if rule.websocket else frozenset(rule.methods or ())
            yield Route(path, methods, bool(rule.arguments), bool(rule.websocket))


def _of_starlette(app: Any) -> Iterator[Route]:
    """A WebSocket's route has no methods there; of an endpoint that is a class, each is one."""
    routing = sys.modules.get("starlette.routing")
    of_sockets, of_mounts = (getattr(routing, name, ()) for name in ("WebSocketRoute", "Mount"))
    for path, route in _starlette_routes(app):
        original = getattr(route, "original_route", route)
        if isinstance(original, of_sockets):
            yield _route(path, frozenset(), is_socket=True)
        elif not isinstance(original, of_mounts) and not _is_of_framework(route):
            yield _route(path, frozenset(getattr(route, "methods", None) or _class_methods(route)))


def _class_methods(route: Any) -> frozenset[str]:
    """Of an endpoint that is a class with a method for each, as `HTTPEndpoint`. Any other without
    methods is an application of its own."""
    endpoint = getattr(route, "endpoint", None)
    if not inspect.isclass(endpoint):
        return frozenset({_ANY})
    return frozenset(name for name in _METHODS if callable(getattr(endpoint, name.lower(), None)))


def _is_of_framework(route: Any) -> bool:
    handlers = getattr(route, "route_handlers", None) or (None,)  # of Litestar
    answering = getattr(route, "endpoint", None) or getattr(handlers[0], "fn", None)
    return str(getattr(answering, "__module__", "")).startswith(_OWN)


def _mounts(app: Any) -> Iterator[tuple[Route, object]]:
    """What Starlette and FastAPI have under a path of their own, and that path."""
    mount = getattr(sys.modules.get("starlette.routing"), "Mount", ())
    for path, route in _starlette_routes(app):
        if isinstance(getattr(route, "original_route", route), mount):
            yield _route(path, frozenset()), route.app


def _route(path: str, methods: frozenset[str], is_socket: bool = False) -> Route:
    has_parameter = "{" in path
    return Route(path if has_parameter else written(path), methods, has_parameter, is_socket)


def _starlette_routes(app: Any) -> list[tuple[str, Any]]:
    """Of Starlette, FastAPI and Litestar, with their paths."""
    routes = getattr(app, "routes", None)
    if not isinstance(routes, list):
        return []
    # FastAPI keeps the routers that it includes, whose routes have no whole path.
    with_whole_paths = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", None)
    fastapi: Any = sys.modules.get("fastapi")
    if with_whole_paths is not None and isinstance(app, fastapi.FastAPI):
        routes = list(with_whole_paths(routes))
    paths = [(getattr(route, "path", None), route) for route in routes]  # a host has none
    return [(path, route) for path, route in paths if isinstance(path, str)]
