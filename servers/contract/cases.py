"""CASES: what every stack answers. Imports no framework.

A Case is one request to one of ROUTES (servers.contract.routes) and the exact
answer that the contract demands: status, Content-Type, body bytes and, for a
wrong method, Allow. Conformance tests, the check before a load and the check
of every answer under load all read this table.
"""

from __future__ import annotations

import re

from loopbench.servers.contract.content import (
    HTML,
    JSON,
    TEXT,
)
from loopbench.servers.contract.data_cases import DATA_CASES
from loopbench.servers.contract.greeting import (
    GREETING,
)
from loopbench.servers.contract.http import (
    BINARY_TYPE,
    JSON_TYPE,
    MULTIPART,
    MULTIPART_BODY,
    URLENCODED,
    Case,
    Expected,
    Request,
    error,
    get,
    post,
    written,
)
from loopbench.servers.contract.limits import (
    WAIT_MS_LIMIT,
    WORK_MS_LIMIT,
)
from loopbench.servers.contract.routes import (
    LAYERS,
    PROTECTIONS,
    routes_listing,
)

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
_DOCUMENT_ECHO = {"json": {"name": "Ada", "nested": {"list": [1, 2.5, None, True]}, "text": "é€"}}


_WORK_PATHS = {
    f"{kind}-{where}": f"{kind}/{where}"
    for kind, places in {"sleep": ("async", "sync", "blocking"), "burn": ("async", "sync")}.items()
    for where in places
}
COMPUTES_LONG = frozenset({"burn-async-50", "burn-sync-50"})
"""Cases that take as much CPU time as all others together, and differ from a short one in the
number alone."""

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
    GREETING,
    Case("plain-head", Request("HEAD", "/plain"), Expected(200, TEXT, b"")),
    Case("async", get("/async"), Expected(200, JSON, ON_LOOP)),
    Case("sync", get("/sync"), Expected(200, JSON, IN_THREAD)),
    Case("blocking", get("/blocking"), Expected(200, JSON, ON_LOOP)),
    Case("query-empty", get("/query"), written({"query": {}})),
    Case(
        "query",
        get("/query?a=1&b=x%20y&a=2&c=&%C3%A9=%E2%82%AC&plus=1+1"),
        written({"query": {"a": ["1", "2"], "b": ["x y"], "c": [""], "é": ["€"], "plus": ["1 1"]}}),
    ),
    Case("form", post("/form", URLENCODED, _FORM), written(_FORM_ECHO)),
    Case(
        "form-multipart",
        post("/form", MULTIPART, MULTIPART_BODY),
        written({"form": {"a": ["1", "3"], "b": ["two"]}}),
    ),
    Case("form-empty", post("/form", URLENCODED), written({"form": {}})),
    Case("form-other-type", post("/form", JSON_TYPE, b"{}"), written({"form": {}})),
    Case("json", post("/json", JSON_TYPE, _DOCUMENT), written(_DOCUMENT_ECHO)),
    Case(
        "json-repeated-key", post("/json", JSON_TYPE, b'{"a":1,"a":2}'), written({"json": {"a": 2}})
    ),
    Case("json-untyped", post("/json", (), b"[1]"), written({"json": [1]})),
    Case("json-bad", post("/json", JSON_TYPE, b'{"a":'), error(400)),
    Case("json-empty", post("/json", JSON_TYPE), error(400)),
    Case("json-not-utf8", post("/json", JSON_TYPE, b'"\xff"'), error(400)),
    Case("json-nan", post("/json", JSON_TYPE, b"[NaN]"), error(400)),
    Case("json-deep", post("/json", JSON_TYPE, b"[" * 100_000), error(400)),
    Case("routes", get("/routes"), written(routes_listing())),
    Case("error", get("/error"), error(500)),
    *(
        Case(f"{name}-{ms}", get(f"/{path}?ms={ms}"), written({"ms": ms}))
        for name, path in _WORK_PATHS.items()
        for ms in (0, 1, 50)
    ),
    *(
        Case(f"{name}-{wrong}", get(f"/{path}{query}"), error(400))
        for name, path in _WORK_PATHS.items()
        for wrong, query in _WRONG_MS.items()
    ),
    *(
        Case(f"save-{protect}", post(f"/save?protect={protect}"), written({"saved": protect}))
        for protect in PROTECTIONS
    ),
    Case("save-unprotected-by-anything", post("/save"), error(400)),
    Case("save-unknown-protection", post("/save?protect=hope"), error(400)),
    *(
        Case(
            f"middleware-{layers}", get(f"/middleware/{layers}/count"), written({"layers": layers})
        )
        for layers in LAYERS
    ),
    *DATA_CASES,
    Case("feed", get("/feed"), Expected(200, JSON, FEED_STATE)),
    Case("publish", post("/feed", BINARY_TYPE, b"\x00news"), written({"published": 5})),
    Case("ws-without-upgrade", get("/ws/echo"), error(400)),
    Case("middleware-unknown", get("/middleware/2/count"), error(404)),
    Case("unknown-path", get("/no/such/path"), error(404)),
    Case("trailing-slash", get("/plain/"), error(404)),
    Case("wrong-method", post("/plain"), error(405, "GET, HEAD")),
    Case("wrong-method-on-post", get("/form"), error(405, "POST")),
    Case("wrong-method-on-both", Request("PUT", "/json"), error(405, "GET, HEAD, POST")),
    Case("options", Request("OPTIONS", "/plain"), error(405, "GET, HEAD")),
    Case(
        "body-at-the-limit",
        post("/json", JSON_TYPE, b'"' + b"x" * (1_048_576 - 2) + b'"'),
        Expected(200, JSON, b'{"json":"' + b"x" * (1_048_576 - 2) + b'"}'),
    ),
    Case(
        "body-too-large", post("/json", JSON_TYPE, b'"' + b"x" * (1_048_576 - 1) + b'"'), error(413)
    ),
    Case("form-too-large", post("/form", URLENCODED, b"a=" + b"x" * (1_048_576 - 1)), error(413)),
)

CASES: dict[str, Case] = {case.name: case for case in _CASES}
"""Every case by name. `hello-waiting` takes the server's own `wait_ms`."""
