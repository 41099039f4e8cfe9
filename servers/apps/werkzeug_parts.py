"""What the applications of Quart and Flask share, whose routers and errors are Werkzeug's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map

from loopbench.servers.apps.handlers import Handlers
from loopbench.servers.contract.routes import LAYERS, ROUTES
from loopbench.servers.handlers import basic
from loopbench.servers.probe import active
from loopbench.servers.settings import Settings

DEFAULT_WAIT_MS = "LOOPBENCH_WAIT_MS"


def listing(url_map: Map) -> Iterator[tuple[str, str]]:
    """Method and path of each route in a router, as `basic.routes` takes them."""
    for rule in url_map.iter_rules():
        if not rule.websocket:
            path = re.sub(r"<(\w+)>", r"{\1}", rule.rule)
            yield from ((method, path) for method in rule.methods or ())


def refusal(refused: HTTPException) -> basic.Answer:
    """The answer to what the framework itself refuses."""
    allowed = refused.valid_methods if isinstance(refused, MethodNotAllowed) else None
    return basic.error(refused.code or 500, allowed)


def set_up(
    app: Any, settings: Settings, handlers: tuple[Callable[..., Any], Callable[..., Any]]
) -> None:
    """Give a Quart or a Flask the settings, and its handlers of Refused and of HTTPException."""
    app.config.update(
        {
            DEFAULT_WAIT_MS: settings.wait_ms,
            "MAX_CONTENT_LENGTH": settings.body_limit_bytes,
            "MAX_FORM_MEMORY_SIZE": settings.body_limit_bytes,
            "PROVIDE_AUTOMATIC_OPTIONS": False,
            "PROPAGATE_EXCEPTIONS": False,
        }
    )
    app.debug = settings.debug
    app.url_map.merge_slashes = False  # else `//` is answered with a redirect
    for raised, handler in zip((basic.Refused, HTTPException), handlers, strict=True):
        app.register_error_handler(raised, handler)


def add_routes(
    app: Any,
    handles: Handlers[Any],
    blueprint: Callable[[str, str], Any],
    layer: tuple[Callable[..., Any], Callable[..., Any]],
) -> None:
    """Add the routes of the contract to a Quart or a Flask, with their handlers.

    blueprint: the framework's. layer: a pair of hooks, before a handler and after it. The routes
    below a blueprint are under as many of them as their path says.
    """
    nested = {f"/middleware/{count}": blueprint(f"layers-{count}", __name__) for count in LAYERS}
    for count, holder in zip(LAYERS, nested.values(), strict=True):
        for _ in range(count):
            holder.before_request(layer[0])
            holder.after_request(layer[1])
    for route, handler in handles.of(ROUTES):
        path = route.path.replace("{", "<").replace("}", ">")
        holder = nested.get(path.rpartition("/")[0], app)
        watched = active.watch(route.name, handler)
        holder.add_url_rule(path, route.name, watched, methods=[route.method])
    for holder in nested.values():
        app.register_blueprint(holder)
