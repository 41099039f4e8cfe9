"""ROUTES and CASES: what every stack promises. Imports no framework.

A Route is a promise (method, path, dispatch). A Case is one request and the
exact answer that the contract demands: status, Content-Type, body bytes and,
for a wrong method, Allow. Conformance tests, the check before a load and the
check of every answer under load all read these tables.
"""

from __future__ import annotations

import enum
import json
import re
from dataclasses import dataclass
from typing import Any

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

ERROR_PHRASES = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    500: "Internal Server Error",
}
"""The reason in each JSON error body (RFC 9110), written out because
`http.HTTPStatus` changed its wording for 413 in Python 3.13."""

WAIT_MS_LIMIT = 60_000
"""The longest wait that a client may ask of a waiting route; more is a 400."""


WORK_MS_LIMIT = 5_000
"""The most work that a client may ask of a `/sleep` or `/burn` route; more is a 400."""


LAYERS = (0, 1, 10, 30)
"""How many layers (middlewares, pairs of hooks) the `/middleware` routes lie under."""

PROTECTIONS = ("none", "shield", "task", "thread")
"""How `/save` may be asked to protect its save from a client that leaves."""


class Dispatch(enum.Enum):
    """Where a route's work is meant to run."""

    ASYNC = "async"
    SYNC = "sync"
    BLOCKING = "blocking"


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


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def dumps(value: Any) -> bytes:
    """JSON as every stack must write it: compact, in insertion order, ASCII, no newline."""
    return _ENCODER.encode(value).encode()


def error_body(status: int) -> bytes:
    """The body of an error answer, for a status in ERROR_PHRASES."""
    return dumps({"error": ERROR_PHRASES[status]})


def routes_listing() -> list[dict[str, str]]:
    """What `GET /routes` must answer: method and path, sorted by path, then method.

    The HEAD that comes with every GET is not listed.
    """
    listing = [{"method": route.method, "path": route.path} for route in ROUTES]
    return sorted(listing, key=lambda row: (row["path"], row["method"]))


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP/1.1 request. `target` is sent as written, already percent-encoded."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def encode(self, host: str) -> bytes:
        """The bytes on the wire; adds Host, and Content-Length where there is a body."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body or self.method in {"POST", "PUT", "PATCH"}:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


def route_of(request: Request) -> Route:
    """The Route that a request is for. Raises LookupError where there is none."""
    segments = request.target.partition("?")[0].split("/")
    for route in ROUTES:
        template = route.path.split("/")
        fits = len(template) == len(segments) and all(
            part.startswith("{") or part == segment
            for part, segment in zip(template, segments, strict=True)
        )
        if fits and request.method in {route.method, "HEAD" if route.method == "GET" else ""}:
            return route
    raise LookupError(f"no route for {request.method} {request.target}")


@dataclass(frozen=True, slots=True)
class Expected:
    """The answer that a Case demands.

    `body` is the exact bytes, or a pattern (matched against the whole body)
    where the answer names a loop or a thread. `allow` is the exact Allow
    header of a 405.
    """

    status: int
    content_type: str | None
    body: bytes | re.Pattern[bytes]
    allow: str | None = None

    def check(self, status: int, body: bytes) -> str | None:
        """Why this answer is wrong, or None. The same check serves under load."""
        if status != self.status:
            return f"status {status} instead of {self.status}"
        if isinstance(self.body, bytes):
            if body != self.body:
                if len(body) != len(self.body):
                    return f"body of {len(body)} bytes instead of {len(self.body)}"
                return "body differs from the contract"
        elif self.body.fullmatch(body) is None:
            return "body does not match the contract's pattern"
        return None


@dataclass(frozen=True, slots=True)
class Case:
    """One request with the answer that the contract demands of every stack."""

    name: str
    request: Request
    expected: Expected


LOOP_REPR = rb"<[\w.]+ running=True closed=False debug=False>"
ON_LOOP = re.compile(rb'\{"event_loop":"' + LOOP_REPR + rb'","thread":"MainThread"\}')
IN_THREAD = re.compile(rb'\{"event_loop":null,"thread":"(?!MainThread")[^"]+"\}')

_URLENCODED = (("Content-Type", "application/x-www-form-urlencoded"),)
_JSON_TYPE = (("Content-Type", "application/json"),)
_MULTIPART = (("Content-Type", "multipart/form-data; boundary=edge"),)
_MULTIPART_BODY = (
    b"".join(
        b'--edge\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % part
        for part in ((b"a", b"1"), (b"b", b"two"), (b"a", b"3"))
    )
    + b"--edge--\r\n"
)
_FORM = b"name=Ada+Lovelace&tag=one&tag=two&empty=&%C3%A9=%E2%82%AC"
_FORM_ECHO = {"form": {"name": ["Ada Lovelace"], "tag": ["one", "two"], "empty": [""], "é": ["€"]}}
_DOCUMENT = (
    b'{"name": "Ada", "nested": {"list": [1, 2.5, null, true]}, "text": "\\u00e9\xe2\x82\xac"}'
)
_DOCUMENT_ECHO = {
    "json": {"name": "Ada", "nested": {"list": [1, 2.5, None, True]}, "text": "é€"},
}


def _error(status: int, allow: str | None = None) -> Expected:
    return Expected(status, JSON, error_body(status), allow)


def _get(target: str) -> Request:
    return Request("GET", target)


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
    Case("index", _get("/?wait_ms=0"), Expected(200, HTML, b"<h1>Index</h1>")),
    Case("hello", _get("/hello/world?wait_ms=0"), Expected(200, HTML, b"<h1>hello, world!</h1>")),
    Case(
        "hello-escaped",
        _get("/hello/%3Cb%3E%26%22%27?wait_ms=0"),
        Expected(200, HTML, b"<h1>hello, &lt;b&gt;&amp;&quot;&#x27;!</h1>"),
    ),
    Case(
        "hello-unicode",
        _get("/hello/%C3%A9%20%E2%82%AC?wait_ms=0"),
        Expected(200, HTML, "<h1>hello, é €!</h1>".encode()),
    ),
    Case("hello-waiting", _get("/hello/world"), Expected(200, HTML, b"<h1>hello, world!</h1>")),
    Case("wait-not-a-number", _get("/?wait_ms=soon"), _error(400)),
    Case("wait-negative", _get("/?wait_ms=-1"), _error(400)),
    Case("wait-too-long", _get(f"/?wait_ms={WAIT_MS_LIMIT + 1}"), _error(400)),
    Case("plain", _get("/plain"), Expected(200, TEXT, b"Hello, world")),
    Case("plain-head", Request("HEAD", "/plain"), Expected(200, TEXT, b"")),
    Case("async", _get("/async"), Expected(200, JSON, ON_LOOP)),
    Case("sync", _get("/sync"), Expected(200, JSON, IN_THREAD)),
    Case("blocking", _get("/blocking"), Expected(200, JSON, ON_LOOP)),
    Case("query-empty", _get("/query"), Expected(200, JSON, dumps({"query": {}}))),
    Case(
        "query",
        _get("/query?a=1&b=x%20y&a=2&c=&%C3%A9=%E2%82%AC&plus=1+1"),
        Expected(
            200,
            JSON,
            dumps(
                {"query": {"a": ["1", "2"], "b": ["x y"], "c": [""], "é": ["€"], "plus": ["1 1"]}}
            ),
        ),
    ),
    Case(
        "form", Request("POST", "/form", _URLENCODED, _FORM), Expected(200, JSON, dumps(_FORM_ECHO))
    ),
    Case(
        "form-multipart",
        Request("POST", "/form", _MULTIPART, _MULTIPART_BODY),
        Expected(200, JSON, dumps({"form": {"a": ["1", "3"], "b": ["two"]}})),
    ),
    Case(
        "form-empty",
        Request("POST", "/form", _URLENCODED),
        Expected(200, JSON, dumps({"form": {}})),
    ),
    Case(
        "form-other-type",
        Request("POST", "/form", _JSON_TYPE, b"{}"),
        Expected(200, JSON, dumps({"form": {}})),
    ),
    Case(
        "json",
        Request("POST", "/json", _JSON_TYPE, _DOCUMENT),
        Expected(200, JSON, dumps(_DOCUMENT_ECHO)),
    ),
    Case(
        "json-repeated-key",
        Request("POST", "/json", _JSON_TYPE, b'{"a":1,"a":2}'),
        Expected(200, JSON, dumps({"json": {"a": 2}})),
    ),
    Case(
        "json-untyped",
        Request("POST", "/json", (), b"[1]"),
        Expected(200, JSON, dumps({"json": [1]})),
    ),
    Case("json-bad", Request("POST", "/json", _JSON_TYPE, b'{"a":'), _error(400)),
    Case("json-empty", Request("POST", "/json", _JSON_TYPE), _error(400)),
    Case("json-not-utf8", Request("POST", "/json", _JSON_TYPE, b'"\xff"'), _error(400)),
    Case("json-nan", Request("POST", "/json", _JSON_TYPE, b"[NaN]"), _error(400)),
    Case("json-deep", Request("POST", "/json", _JSON_TYPE, b"[" * 100_000), _error(400)),
    Case("routes", _get("/routes"), Expected(200, JSON, dumps(routes_listing()))),
    Case("error", _get("/error"), _error(500)),
    *(
        Case(f"{name}-{ms}", _get(f"/{path}?ms={ms}"), Expected(200, JSON, dumps({"ms": ms})))
        for name, path in _WORK_PATHS.items()
        for ms in (0, 1, 50)
    ),
    *(
        Case(f"{name}-{wrong}", _get(f"/{path}{query}"), _error(400))
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
    Case("save-unprotected-by-anything", Request("POST", "/save"), _error(400)),
    Case("save-unknown-protection", Request("POST", "/save?protect=hope"), _error(400)),
    *(
        Case(
            f"middleware-{layers}",
            _get(f"/middleware/{layers}/count"),
            Expected(200, JSON, dumps({"layers": layers})),
        )
        for layers in LAYERS
    ),
    Case("middleware-unknown", _get("/middleware/2/count"), _error(404)),
    Case("unknown-path", _get("/no/such/path"), _error(404)),
    Case("trailing-slash", _get("/plain/"), _error(404)),
    Case("wrong-method", Request("POST", "/plain"), _error(405, "GET, HEAD")),
    Case("wrong-method-on-post", _get("/json"), _error(405, "POST")),
    Case("options", Request("OPTIONS", "/plain"), _error(405, "GET, HEAD")),
    Case(
        "body-at-the-limit",
        Request("POST", "/json", _JSON_TYPE, b'"' + b"x" * (1_048_576 - 2) + b'"'),
        Expected(200, JSON, b'{"json":"' + b"x" * (1_048_576 - 2) + b'"}'),
    ),
    Case(
        "body-too-large",
        Request("POST", "/json", _JSON_TYPE, b'"' + b"x" * (1_048_576 - 1) + b'"'),
        _error(413),
    ),
    Case(
        "form-too-large",
        Request("POST", "/form", _URLENCODED, b"a=" + b"x" * (1_048_576 - 1)),
        _error(413),
    ),
)

CASES: dict[str, Case] = {case.name: case for case in _CASES}
"""Every case by name. `hello-waiting` takes the server's own `wait_ms`."""
