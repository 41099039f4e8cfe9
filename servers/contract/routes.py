"""ROUTES and WS_ROUTES: the routes that every stack promises. Imports no framework.

A Route is a promise: method, path, dispatch. What exactly is answered is in servers.contract.cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopbench.results.schema import Dispatch

if TYPE_CHECKING:
    from loopbench.servers.contract.http import Request

LAYERS = (0, 1, 10, 30)
"""How many layers (middlewares, pairs of hooks) the `/middleware` routes lie under."""

PROTECTIONS = ("none", "shield", "task", "thread")
"""How `/save` may be asked to protect its save from a client that leaves."""


@dataclass(frozen=True, slots=True)
class Route:
    """One promise of the contract. `path` writes parameters as `{name}`."""

    name: str
    method: str
    path: str
    dispatch: Dispatch
    summary: str


ROUTES: tuple[Route, ...] = (
    Route("index", "GET", "/", Dispatch.ASYNC, "waits, then HTML"),
    Route("hello", "GET", "/hello/{name}", Dispatch.ASYNC, "waits, then HTML with the name"),
    Route("plain", "GET", "/plain", Dispatch.ASYNC, "constant text"),
    Route("async", "GET", "/async", Dispatch.ASYNC, "its loop and thread, as JSON"),
    Route("sync", "GET", "/sync", Dispatch.SYNC, "the same, from a worker thread"),
    Route("blocking", "GET", "/blocking", Dispatch.BLOCKING, "the same, sync code on the loop"),
    Route("query", "GET", "/query", Dispatch.ASYNC, "echo of the parsed query"),
    Route("form", "POST", "/form", Dispatch.ASYNC, "echo of the parsed form"),
    Route("json", "POST", "/json", Dispatch.ASYNC, "echo of the parsed JSON"),
    Route("routes", "GET", "/routes", Dispatch.ASYNC, "the framework's own list of routes"),
    Route("error", "GET", "/error", Dispatch.ASYNC, "raises; answered as a JSON 500"),
    Route("sleep-async", "GET", "/sleep/async", Dispatch.ASYNC, "awaits for `ms`"),
    Route("sleep-sync", "GET", "/sleep/sync", Dispatch.SYNC, "holds a worker thread for `ms`"),
    Route("sleep-blocking", "GET", "/sleep/blocking", Dispatch.BLOCKING, "holds the loop for `ms`"),
    Route("burn-async", "GET", "/burn/async", Dispatch.BLOCKING, "computes for `ms` on the loop"),
    Route("burn-sync", "GET", "/burn/sync", Dispatch.SYNC, "computes for `ms` in a worker thread"),
    Route("save", "POST", "/save", Dispatch.ASYNC, "saves in two steps, protected as it is asked"),
    Route("items", "GET", "/json", Dispatch.ASYNC, "`items` items, encoded for each request"),
    Route("stream", "GET", "/stream", Dispatch.ASYNC, "`chunks` chunks of `size` bytes each"),
    Route("upload", "POST", "/upload", Dispatch.ASYNC, "length and digest of what is sent"),
    Route("fetch", "GET", "/fetch", Dispatch.ASYNC, "fetches `n` pages of another server"),
    Route("db-async", "GET", "/db/async", Dispatch.ASYNC, "`n` rows by an asynchronous driver"),
    Route("db-sync", "GET", "/db/sync", Dispatch.SYNC, "the same by one in a worker thread"),
    Route("db-save", "POST", "/db/save", Dispatch.ASYNC, "saves `amount` in a transaction"),
    Route("db-total", "GET", "/db/total", Dispatch.ASYNC, "what all the saves come to"),
    Route("save-both", "POST", "/save/both", Dispatch.ASYNC, "saves to one store, then another"),
    Route("pairs", "GET", "/save/both", Dispatch.ASYNC, "which saves are in one store only"),
    Route("feed", "GET", "/feed", Dispatch.ASYNC, "who follows the broadcast, and what was heard"),
    Route("publish", "POST", "/feed", Dispatch.ASYNC, "publishes the body to all who follow"),
    *(
        Route(
            f"middleware-{layers}",
            "GET",
            f"/middleware/{layers}/count",
            Dispatch.ASYNC,
            f"counts the {layers} layers that it lies under",
        )
        for layers in LAYERS
    ),
)


WS_ROUTES: tuple[Route, ...] = (
    Route("ws-echo", "GET", "/ws/echo", Dispatch.ASYNC, "each message back as it came"),
    Route("ws-push", "GET", "/ws", Dispatch.ASYNC, "pushes `hello`, `rate` times a second"),
    Route("ws-feed", "GET", "/ws/feed", Dispatch.ASYNC, "what is published to the broadcast"),
)
"""The WebSockets; what is said on them is in servers.contract.websockets."""


def routes_listing() -> list[dict[str, str]]:
    """What `GET /routes` must answer: method and path, sorted by path, then method.

    The HEAD that comes with every GET is not listed, nor the OPTIONS that some versions of a
    framework add, nor WebSockets.
    """
    listing = [{"method": route.method, "path": route.path} for route in ROUTES]
    return sorted(listing, key=lambda row: (row["path"], row["method"]))


def route_of(request: Request) -> Route:
    """The Route that a request is for. Raises LookupError where there is none."""
    segments = request.target.partition("?")[0].split("/")
    for route in (*ROUTES, *WS_ROUTES):
        template = route.path.split("/")
        fits = len(template) == len(segments) and all(
            part.startswith("{") or part == segment
            for part, segment in zip(template, segments, strict=True)
        )
        if fits and request.method in {route.method, "HEAD" if route.method == "GET" else ""}:
            return route
    raise LookupError(f"no route for {request.method} {request.target}")
