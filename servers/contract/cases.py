"""ROUTES and CASES: what every stack promises. Imports no framework.

A Route is a promise (method, path, dispatch). A Case is one request and the
exact answer that the contract demands: status, Content-Type, body bytes and,
for a wrong method, Allow. Conformance tests, the check before a load and the
check of every answer under load all read these tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from loopbench.results.schema import Dispatch
from loopbench.servers.contract.data_cases import DATA_CASES
from loopbench.servers.contract.http import (
    BINARY_TYPE,
    ERROR_PHRASES,
    HTML,
    JSON,
    JSON_TYPE,
    MULTIPART,
    MULTIPART_BODY,
    TEXT,
    URLENCODED,
    Case,
    Expected,
    Request,
    dumps,
    error,
    error_body,
    get,
)

__all__ = [
    "CASES",
    "ERROR_PHRASES",
    "HTML",
    "JSON",
    "LAYERS",
    "PROTECTIONS",
    "ROUTES",
    "TEXT",
    "WAIT_MS_LIMIT",
    "WORK_MS_LIMIT",
    "WS_ROUTES",
    "Case",
    "Dispatch",
    "Expected",
    "Request",
    "Route",
    "dumps",
    "error_body",
    "route_of",
    "routes_listing",
]

WAIT_MS_LIMIT = 60_000
"""The longest wait that a client may ask of a waiting route; more is a 400."""


WORK_MS_LIMIT = 5_000
"""The most work that a client may ask of a `/sleep` or `/burn` route; more is a 400."""


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

    The HEAD that comes with every GET is not listed, nor are WebSockets.
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


LOOP_REPR = rb"<[\w.]+ running=True closed=False debug=False>"
ON_LOOP = re.compile(rb'\{"event_loop":"' + LOOP_REPR + rb'","thread":"MainThread"\}')
IN_THREAD = re.compile(rb'\{"event_loop":null,"thread":"(?!MainThread")[^"]+"\}')

FEED_STATE = re.compile(
    rb'\{"receivers":\d+,"heard":\d+,"dropped":\d+,"reconnects":\d+,"pid":\d+\}'
)

_FORM = b"name=Ada+Lovelace&tag=one&tag=two&empty=&%C3%A9=%E2%82%AC"
_FORM_ECHO = {"form": {"name": ["Ada Lovelace"], "tag": ["one", "two"], "empty": [""], "é": ["€"]}}
_DOCUMENT = (
    b'{"name": "Ada", "nested": {"list": [1, 2.5, null, true]}, "text": "\\u00e9\xe2\x82\xac"}'
)
_DOCUMENT_ECHO = {
    "json": {"name": "Ada", "nested": {"list": [1, 2.5, None, True]}, "text": "é€"},
}


_WORK_PATHS = {
    f"{kind}-{where}": f"{kind}/{where}"
    for kind, places in {"sleep": ("async", "sync", "blocking"), "burn": ("async", "sync")}.items()
    for where in places
}
_WRONG_MS = {
    "without-ms": "",
    "negative": "?ms=-1",
    "fraction": "?ms=1.5",
    "too-long": f"?ms={WORK_MS_LIMIT + 1}",
}

_CASES: tuple[Case, ...] = (
    Case("index", get("/?wait_ms=0"), Expected(200, HTML, b"<h1>Index</h1>")),
    Case("hello", get("/hello/world?wait_ms=0"), Expected(200, HTML, b"<h1>hello, world!</h1>")),
    Case(
        "hello-escaped",
        get("/hello/%3Cb%3E%26%22%27?wait_ms=0"),
        Expected(200, HTML, b"<h1>hello, &lt;b&gt;&amp;&quot;&#x27;!</h1>"),
    ),
    Case(
        "hello-unicode",
        get("/hello/%C3%A9%20%E2%82%AC?wait_ms=0"),
        Expected(200, HTML, "<h1>hello, é €!</h1>".encode()),
    ),
    Case("hello-waiting", get("/hello/world"), Expected(200, HTML, b"<h1>hello, world!</h1>")),
    Case("wait-not-a-number", get("/?wait_ms=soon"), error(400)),
    Case("wait-negative", get("/?wait_ms=-1"), error(400)),
    Case("wait-too-long", get(f"/?wait_ms={WAIT_MS_LIMIT + 1}"), error(400)),
    Case("plain", get("/plain"), Expected(200, TEXT, b"Hello, world")),
    Case("plain-head", Request("HEAD", "/plain"), Expected(200, TEXT, b"")),
    Case("async", get("/async"), Expected(200, JSON, ON_LOOP)),
    Case("sync", get("/sync"), Expected(200, JSON, IN_THREAD)),
    Case("blocking", get("/blocking"), Expected(200, JSON, ON_LOOP)),
    Case("query-empty", get("/query"), Expected(200, JSON, dumps({"query": {}}))),
    Case(
        "query",
        get("/query?a=1&b=x%20y&a=2&c=&%C3%A9=%E2%82%AC&plus=1+1"),
        Expected(
            200,
            JSON,
            dumps(
                {"query": {"a": ["1", "2"], "b": ["x y"], "c": [""], "é": ["€"], "plus": ["1 1"]}}
            ),
        ),
    ),
    Case(
        "form", Request("POST", "/form", URLENCODED, _FORM), Expected(200, JSON, dumps(_FORM_ECHO))
    ),
    Case(
        "form-multipart",
        Request("POST", "/form", MULTIPART, MULTIPART_BODY),
        Expected(200, JSON, dumps({"form": {"a": ["1", "3"], "b": ["two"]}})),
    ),
    Case(
        "form-empty",
        Request("POST", "/form", URLENCODED),
        Expected(200, JSON, dumps({"form": {}})),
    ),
    Case(
        "form-other-type",
        Request("POST", "/form", JSON_TYPE, b"{}"),
        Expected(200, JSON, dumps({"form": {}})),
    ),
    Case(
        "json",
        Request("POST", "/json", JSON_TYPE, _DOCUMENT),
        Expected(200, JSON, dumps(_DOCUMENT_ECHO)),
    ),
    Case(
        "json-repeated-key",
        Request("POST", "/json", JSON_TYPE, b'{"a":1,"a":2}'),
        Expected(200, JSON, dumps({"json": {"a": 2}})),
    ),
    Case(
        "json-untyped",
        Request("POST", "/json", (), b"[1]"),
        Expected(200, JSON, dumps({"json": [1]})),
    ),
    Case("json-bad", Request("POST", "/json", JSON_TYPE, b'{"a":'), error(400)),
    Case("json-empty", Request("POST", "/json", JSON_TYPE), error(400)),
    Case("json-not-utf8", Request("POST", "/json", JSON_TYPE, b'"\xff"'), error(400)),
    Case("json-nan", Request("POST", "/json", JSON_TYPE, b"[NaN]"), error(400)),
    Case("json-deep", Request("POST", "/json", JSON_TYPE, b"[" * 100_000), error(400)),
    Case("routes", get("/routes"), Expected(200, JSON, dumps(routes_listing()))),
    Case("error", get("/error"), error(500)),
    *(
        Case(f"{name}-{ms}", get(f"/{path}?ms={ms}"), Expected(200, JSON, dumps({"ms": ms})))
        for name, path in _WORK_PATHS.items()
        for ms in (0, 1, 50)
    ),
    *(
        Case(f"{name}-{wrong}", get(f"/{path}{query}"), error(400))
        for name, path in _WORK_PATHS.items()
        for wrong, query in _WRONG_MS.items()
    ),
    *(
        Case(
            f"save-{protect}",
            Request("POST", f"/save?protect={protect}"),
            Expected(200, JSON, dumps({"saved": protect})),
        )
        for protect in PROTECTIONS
    ),
    Case("save-unprotected-by-anything", Request("POST", "/save"), error(400)),
    Case("save-unknown-protection", Request("POST", "/save?protect=hope"), error(400)),
    *(
        Case(
            f"middleware-{layers}",
            get(f"/middleware/{layers}/count"),
            Expected(200, JSON, dumps({"layers": layers})),
        )
        for layers in LAYERS
    ),
    *DATA_CASES,
    Case("feed", get("/feed"), Expected(200, JSON, FEED_STATE)),
    Case(
        "publish",
        Request("POST", "/feed", BINARY_TYPE, b"\x00news"),
        Expected(200, JSON, dumps({"published": 5})),
    ),
    Case("ws-without-upgrade", get("/ws/echo"), error(400)),
    Case("middleware-unknown", get("/middleware/2/count"), error(404)),
    Case("unknown-path", get("/no/such/path"), error(404)),
    Case("trailing-slash", get("/plain/"), error(404)),
    Case("wrong-method", Request("POST", "/plain"), error(405, "GET, HEAD")),
    Case("wrong-method-on-post", get("/form"), error(405, "POST")),
    Case("wrong-method-on-both", Request("PUT", "/json"), error(405, "GET, HEAD, POST")),
    Case("options", Request("OPTIONS", "/plain"), error(405, "GET, HEAD")),
    Case(
        "body-at-the-limit",
        Request("POST", "/json", JSON_TYPE, b'"' + b"x" * (1_048_576 - 2) + b'"'),
        Expected(200, JSON, b'{"json":"' + b"x" * (1_048_576 - 2) + b'"}'),
    ),
    Case(
        "body-too-large",
        Request("POST", "/json", JSON_TYPE, b'"' + b"x" * (1_048_576 - 1) + b'"'),
        error(413),
    ),
    Case(
        "form-too-large",
        Request("POST", "/form", URLENCODED, b"a=" + b"x" * (1_048_576 - 1)),
        error(413),
    ),
)

CASES: dict[str, Case] = {case.name: case for case in _CASES}
"""Every case by name. `hello-waiting` takes the server's own `wait_ms`."""
