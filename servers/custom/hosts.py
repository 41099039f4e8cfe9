"""The names of hosts that a person's application answers alone, where it is made so."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from loopbench.servers.custom.holdings import layers

_ANY = "*"


def hosts(app: object) -> list[str]:
    """What a request may have as its Host; empty where any will do, or nobody can say."""
    for layer in layers(app):
        for names in (*_of_werkzeug(layer), *_of_starlette(layer), *_of_django(layer)):
            if _ANY not in names:
                return [_one_of(name) for name in names]
    return []


def _one_of(pattern: str) -> str:
    """A name that a pattern holds, as `.shop.org` and `*.shop.org` hold that of a subdomain."""
    return "www." + pattern.lstrip("*.") if pattern.startswith(("*", ".")) else pattern


def _of_werkzeug(app: Any) -> Iterator[Iterable[str]]:
    """Of Quart and Flask."""
    routes = getattr(sys.modules.get("werkzeug.routing"), "Map", ())
    if isinstance(getattr(app, "url_map", None), routes) and app.config.get("SERVER_NAME"):
        yield [app.config["SERVER_NAME"]]


def _of_starlette(app: Any) -> Iterator[Iterable[str]]:
    """Its middleware, which is around it, or not made yet."""
    trusted = getattr(
        sys.modules.get("starlette.middleware.trustedhost"), "TrustedHostMiddleware", ()
    )
    if isinstance(app, trusted):
        yield app.allowed_hosts
    around = getattr(app, "user_middleware", None)
    for middleware in around if isinstance(around, list) else ():
        if middleware.cls is trusted:
            given = (*getattr(middleware, "args", ()), middleware.kwargs.get("allowed_hosts"))
            yield given[0] or [_ANY]


def _of_django(app: Any) -> Iterator[Iterable[str]]:
    handler = getattr(sys.modules.get("django.core.handlers.base"), "BaseHandler", ())
    if isinstance(app, handler):
        settings: Any = sys.modules["django.conf"]
        yield settings.settings.ALLOWED_HOSTS or [_ANY]
