"""What `init` finds of an application, and what it says of the rest."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from quart import Quart
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute

from loopbench.loadtests.bench.init import pages
from loopbench.loadtests.bench.init.initial import _counted, _left_out, _next, _pages, _text
from loopbench.loadtests.bench.init.pages import Page
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.custom.loads_file import KINDS, of_tables
from loopbench.loadtests.scenarios.custom.scenarios import prepare
from loopbench.loadtests.scenarios.custom.waiting import telling
from loopbench.loadtests.scenarios.models import Echo, Stream
from loopbench.loadtests.scenarios.table import Closed
from loopbench.servers.custom.hosts import hosts
from loopbench.servers.custom.look import look_at
from loopbench.servers.custom.routers import others, routes, sockets
from loopbench.servers.parts import OwnApp


class Home(HTTPEndpoint):
    """Of Starlette, with two methods."""

    async def get(self, request: Request) -> Response:
        """Any answer."""
        return Response()

    async def post(self, request: Request) -> Response:
        """Any answer."""
        return Response()


class View(web.View):
    """Of aiohttp, without a GET."""

    async def put(self) -> web.Response:
        """Any answer."""
        return web.Response()


async def answer(_: Any) -> Any:
    """A handler; nobody calls it."""


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """An application; nobody calls it."""


def test_a_class_with_a_method_for_each_is_a_route_of_these() -> None:
    """Of Starlette, which gives the route no methods, and of aiohttp, which gives it any."""
    of_starlette = Starlette(
        routes=[Route("/home", Home), Mount("/in/{x}", routes=[Route("/", Home)])]
    )
    assert routes(of_starlette) == ["/home"]
    assert others(of_starlette) == ["POST /home", "GET /in/{x}/", "POST /in/{x}/"]
    of_aiohttp = web.Application()
    of_aiohttp.router.add_view("/view", View)
    assert (routes(of_aiohttp), others(of_aiohttp)) == ([], ["PUT /view"])


def test_routes_that_want_a_value_or_a_body_are_named(tmp_path: Path) -> None:
    """By method and path, as each router has them."""
    of_aiohttp = web.Application()
    of_aiohttp.add_routes(
        [web.get("/a/{x}", answer), web.post("/a", answer), web.get("/a", answer)]
    )
    of_aiohttp.router.add_static("/files", tmp_path)
    assert others(of_aiohttp) == ["GET /a/{x}", "POST /a", "GET /files/…"]
    of_quart = Quart("shop")
    of_quart.add_url_rule("/a/<x>", "a", lambda x: x, methods=["GET", "DELETE"])
    of_quart.websocket("/talk/<x>")(print)
    assert others(of_quart) == ["DELETE /a/<x>", "GET /a/<x>", "WebSocket /talk/<x>"]
    sockets = [WebSocketRoute("/talk", answer), WebSocketRoute("/talk/{x}", answer)]
    assert others(Starlette(routes=[*sockets, Route("/asgi", bare)])) == ["WebSocket /talk/{x}"]


FASTAPI = """
from starlette.applications import Starlette
class FastAPI(Starlette):
    pass
"""
FASTAPI_ROUTING = """
from starlette.routing import BaseRoute, Route
class Included(BaseRoute):
    def __init__(self, prefix, route):
        self.prefix, self.original_router = prefix, route
class Whole:
    def __init__(self, prefix, route):
        self.path, self.methods = prefix + route.path, route.methods
        self.endpoint, self.original_route = route.endpoint, route
def iter_route_contexts(routes):
    for one in routes:
        yield Whole(one.prefix, one.original_router) if isinstance(one, Included) else one
"""


def test_routers_that_fastapi_includes_are_found(tmp_path: Path) -> None:
    """It keeps them as they are, and tells their whole paths (0.165, of whose names these are
    some); the pages of its own documentation are no loads."""
    (tmp_path / "fastapi").mkdir()
    (tmp_path / "fastapi" / "__init__.py").write_text(FASTAPI)
    (tmp_path / "fastapi" / "routing.py").write_text(FASTAPI_ROUTING)
    (tmp_path / "site_of_it.py").write_text(
        "from fastapi import FastAPI\n"
        "from fastapi.routing import Included\n"
        "from starlette.routing import Route, WebSocketRoute\n"
        "async def page(request): pass\n"
        "async def docs(request): pass\n"
        "docs.__module__ = 'fastapi.applications'\n"
        "talk = Included('/v1', WebSocketRoute('/talk', page))\n"
        "talk.original_router.methods = None\n"
        "page = Included('/v1', Route('/page', page))\n"
        "app = FastAPI(routes=[page, talk, Route('/docs', docs)])\n"
    )
    found = look_at(OwnApp("site_of_it:app", str(tmp_path), None))
    assert (found.routes, found.sockets) == (("/v1/page",), ("/v1/talk",))


SITE = """
from quart import Quart, abort

app = Quart(__name__)
app.config["SERVER_NAME"] = "shop.example.org"


@app.post("/orders")
async def order():
    return {}


@app.get("/private")
async def private():
    abort(403)


for number in range(12):
    app.add_url_rule(f"/{number}", str(number), lambda: {})
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an application that answers one host alone."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "site_of_mine.py").write_text(SITE)
    return folder


def test_init_says_what_it_left_out(site: Path) -> None:
    """With the reasons, as notes and in the file; the Host that the application wants is there."""
    command = (sys.executable, "-m", "loopbench", "init", "site_of_mine:app")
    done = subprocess.run(command, cwd=site, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    private, many, unasked, host = done.stderr.splitlines()
    assert private == (
        "note: left out /private: it was answered with status 403: send what it asks for, as by "
        'headers = { Authorization = "…" }'
    )
    assert many == "note: left out /10, /11: 10 loads are enough to begin with"
    assert unasked == (
        "note: not asked, since each wants a value or a body: POST /orders; add what you want of "
        "these to loopbench.toml"
    )
    assert host == (
        "note: it answers for shop.example.org alone: loopbench.toml sends that as the Host"
    )
    assert done.stdout == (
        "loopbench.toml: 13 pages, 3 commented out, with the reason; measure them by: "
        "loopbench bench\n"
    )
    text = (site / "loopbench.toml").read_text()
    assert "# Routes that are yours to add:\n#   POST /orders\n" in text
    assert "# Left out: 10 loads are enough to begin with.\n# [loads.10]\n" in text
    loads = tomllib.loads(text)["loads"]
    assert list(loads) == [str(number) for number in range(10)]
    assert loads["0"]["headers"] == {"Host": "shop.example.org"}


def test_an_application_that_answers_one_host_says_which(site: Path) -> None:
    """Where another is asked for; asked for that one, it is measured."""
    with pytest.raises(HarnessError) as raised:
        prepare("site_of_mine:app", site, ["/1"], None, ())
    assert str(raised.value) == (
        "GET /1 was answered with status 404; it is made to answer for shop.example.org alone: "
        "send that by --header 'Host: shop.example.org', or by headers = "
        '{ Host = "shop.example.org" } in the file of --scenarios'
    )
    given = (("Host", "shop.example.org"),)
    own = prepare("site_of_mine:app", site, ["/1"], None, (), headers=given)
    assert own.described["requests"]["GET /1"]["status"] == 200


def test_hosts_are_those_of_middleware_too() -> None:
    """Before it is made, and where it is around the application; a pattern has a name for all."""
    within = Middleware(TrustedHostMiddleware, allowed_hosts=["*.shop.org"])
    assert hosts(Starlette(middleware=[within])) == ["www.shop.org"]
    assert hosts(TrustedHostMiddleware(Starlette(), allowed_hosts=["shop.org"])) == ["shop.org"]
    anybody = Middleware(TrustedHostMiddleware)
    assert hosts(Starlette(middleware=[anybody])) == hosts(Quart("shop")) == []


def test_a_stream_without_an_event_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bench would refuse it, and all other loads with it; a comment of a stream is no event."""
    (tmp_path / "quiet.py").write_text(
        "import asyncio\n"
        "from aiohttp import web\n"
        "async def quiet(request):\n"
        "    answer = web.StreamResponse(headers={'Content-Type': 'text/event-stream'})\n"
        "    await answer.prepare(request)\n"
        "    await answer.write(b': keep-alive\\n\\n')\n"
        "    await asyncio.sleep(60)\n"
        "app = web.Application()\n"
        "app.router.add_get('/quiet', quiet)\n"
    )
    monkeypatch.setattr(pages, "BOUND_S", 0.5)
    own = OwnApp("quiet:app", str(tmp_path), None)
    found, _ = _pages(own, look_at(own))
    assert found == [Page("/quiet", "sse", why_not="no event of its stream came within 0.5 s")]
    assert "loads" not in tomllib.loads(_text("quiet:app", ["aiohttp"], found))
    assert list(_left_out(found, [])) == [
        "left out /quiet: no event of its stream came within 0.5 s"
    ]


def test_what_takes_long_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Every so often, and no more once it is done."""
    said = ""
    with telling("starting shop:app", 0.01):
        while "\n" not in said:
            said += capsys.readouterr().err
    assert said.splitlines()[0] == "starting shop:app: 0 s so far"
    capsys.readouterr()
    assert capsys.readouterr().err == ""


def test_every_kind_of_load_stands_in_what_init_writes() -> None:
    """As comments that are loads once they are taken out."""
    text = _text("shop:app", ["aiohttp"], [Page("/hello")])
    assert {one.name for one in of_tables("as written", tomllib.loads(text)["loads"])} == {"hello"}
    begin, others = text.split("# Other kinds of load, to be taken out of the comment.\n")
    loads = tomllib.loads(begin + re.sub("^# ?", "", others, flags=re.MULTILINE))["loads"]
    written = {one.name: one.loads[0].model for one in of_tables("taken out", loads)}
    models: dict[str, object] = {
        "hello": Closed(32),
        "reading": Closed(32, think_min_s=0.2, think_max_s=2),
        "events": Stream(20, "sse"),
        "messages": Echo(1, 32),
    }
    assert written == models
    assert {table.get("kind", "requests") for table in loads.values()} == set(KINDS)


STREAMS = """
import asyncio
from aiohttp import web


async def hello(request):
    return web.Response(text="hello")


async def private(request):
    raise web.HTTPUnauthorized()


async def stream(request):
    path = request.path
    if path == "/strict" and "text/event-stream" not in request.headers.get("Accept", ""):
        raise web.HTTPBadRequest()
    kind = {"/ticks": "application/x-ndjson", "/dots": "text/plain"}.get(path, "text/event-stream")
    answer = web.StreamResponse(headers={"Content-Type": kind})
    await answer.prepare(request)
    while True:
        await answer.write({"/ticks": b"{}\\n{}\\n", "/dots": b"."}.get(path, b"data: 1\\n\\n"))
        await asyncio.sleep(0.01)


async def huge(request):
    answer = web.StreamResponse(headers={"Content-Length": str(10 << 30)})
    await answer.prepare(request)
    await asyncio.sleep(60)


async def talk(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    if request.path == "/greets":
        await socket.send_str("welcome")
    here.append(socket)
    async for message in socket:
        for one in here if request.path == "/chat" else [socket]:
            await one.send_str(message.data)
    here.remove(socket)
    return socket


here = []


app = web.Application()
app.router.add_get("/", hello)
app.router.add_get("/private", private)
for path in ("/ws", "/greets", "/chat"):
    app.router.add_get(path, talk)
app.router.add_get("/huge", huge)
for path in ("/events", "/strict", "/ticks", "/dots"):
    app.router.add_get(path, stream)
"""


def test_init_asks_each_page_and_writes_it_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream as a stream, with the header that it asks for, a WebSocket that sends messages back
    as one; what cannot be loaded as it is as a comment with the reason."""
    (tmp_path / "streaming.py").write_text(STREAMS)
    monkeypatch.setattr(pages, "_BODY_S", 1.0)
    monkeypatch.setattr(pages, "_EVENTS_S", 0.2)
    own = OwnApp("streaming:app", str(tmp_path), None)
    found, _ = _pages(own, look_at(own))
    text = _text("streaming:app", ["aiohttp"], found)
    assert tomllib.loads(text)["loads"] == {
        "root": {"path": "/", "users": 32},
        "events": {"kind": "stream", "events": "sse", "path": "/events", "users": 32},
        "strict": {
            "kind": "stream",
            "events": "sse",
            "path": "/strict",
            "headers": {"Accept": "text/event-stream"},
            "users": 32,
        },
        "ticks": {"kind": "stream", "events": "lines", "path": "/ticks", "users": 32},
        "ws": {"kind": "echo", "path": "/ws", "users": 32},
        "chat": {"kind": "echo", "path": "/chat", "users": 1},
    }
    assert (
        "# Left out: it is a WebSocket that did not send a message back as its next one.\n"
        "# [loads.greets]\n" in text
    )
    assert (
        "# Left out: it was answered with status 401: send what it asks for, as by headers = "
        '{ Authorization = "…" }.\n# [loads.private]\n' in text
    )
    assert (
        "# Left out: its answer says that it has 10,737,418,240 bytes, more than the 16,777,216 "
        "taken.\n# [loads.huge]\n" in text
    )
    dots = r"# Left out: its answer did not end within 1 s after its head .*\n# \[loads\.dots\]"
    assert re.search(dots, text)
    assert _counted(found) == (
        "10 pages, 3 of them streams, 2 of them WebSockets, 4 commented out, with the reason"
    )
    assert _next(found) == "measure them by: loopbench bench"
    nothing = [Page("/", why_not="it was answered with status 404")]
    assert _counted(nothing) == "1 page, 1 commented out, with the reason"
    assert _next(nothing) == "add a page of yours to it, then: loopbench bench"


def test_websockets_are_told_from_other_routes_where_the_router_does() -> None:
    """Quart's and Starlette's; one with a parameter has no path that could be loaded."""
    of_quart, talk = Quart("shop"), WebSocketRoute("/talk", print)
    of_quart.websocket("/echo")(print)
    of_quart.websocket("/room/<name>")(print)
    of_starlette = Starlette(routes=[talk, Route("/page", lambda _: Response())])
    assert (sockets(of_quart), routes(of_quart)) == (["/echo"], [])
    assert (sockets(of_starlette), routes(of_starlette)) == (["/talk"], ["/page"])


def test_what_is_mounted_is_found_under_its_path() -> None:
    """Of Starlette's mounts, and theirs; an application that is mounted in itself has an end."""
    answers, talk = Route("/", lambda _: Response()), WebSocketRoute("/talk", print)
    inner = Starlette(routes=[Mount("/deep", routes=[Route("/me", lambda _: Response()), talk])])
    of_quart = Quart("shop", static_folder=None)
    of_quart.add_url_rule("/page", "page", lambda: "page")
    outer = Starlette(
        routes=[
            answers,
            Mount("/users", routes=[answers, talk]),
            Mount("/v2", app=inner),
            Mount("/of/{name}", routes=[answers, talk]),
            Mount("/quart", app=cast(Any, of_quart)),
        ]
    )
    outer.mount("/ring", outer)
    assert routes(outer) == ["/", "/users/", "/v2/deep/me", "/quart/page"]
    assert sockets(outer) == ["/users/talk", "/v2/deep/talk"]


ENCODED = """
import json
from urllib.parse import unquote

from aiohttp import web
from quart import Quart
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

PATHS = ("/two words", "/grüße", "/50%25", "/a?b", "/it's,(so);a=b:@")
of_aiohttp, of_quart = web.Application(), Quart(__name__, static_folder=None)


async def hello(request):
    return web.Response(text="hello")


async def hello_of_quart():
    return {}


async def hello_of_starlette(request):
    return JSONResponse({})


for path in PATHS:
    of_aiohttp.router.add_get(path, hello)
    of_quart.add_url_rule(path, path, hello_of_quart)
of_starlette = Starlette(routes=[Route(path, hello_of_starlette) for path in PATHS])


async def of_document(scope, receive, send):
    known = scope["path"] in ("/openapi.json", *map(unquote, PATHS))
    status = 200 if known and scope["type"] == "http" else 404
    await send({"type": "http.response.start", "status": status, "headers": []})
    body = json.dumps({"paths": {path: {"get": {}} for path in PATHS}}).encode()
    await send({"type": "http.response.body", "body": body})
"""


@pytest.mark.parametrize("name", ["of_aiohttp", "of_quart", "of_starlette", "of_document"])
def test_paths_are_written_as_a_request_has_them(tmp_path: Path, name: str) -> None:
    """Percent-encoded, whatever the router calls them, so that each is answered."""
    (tmp_path / "encoded.py").write_text(ENCODED, encoding="utf-8")
    own = OwnApp(f"encoded:{name}", str(tmp_path), None)
    found, _ = _pages(own, look_at(own))
    percent = "/50%25" if name in ("of_aiohttp", "of_document") else "/50%2525"
    paths = ["/two%20words", "/gr%C3%BC%C3%9Fe", percent, "/a%3Fb", "/it's,(so);a=b:@"]
    assert found == [Page(path) for path in paths]


def test_an_application_that_does_not_start_has_its_routes_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where its database is away; the note says why none was asked."""
    (tmp_path / "away.py").write_text(
        "from aiohttp import web\n"
        "async def hello(request):\n"
        "    return web.Response()\n"
        "async def connect(app):\n"
        "    raise ConnectionRefusedError('no database')\n"
        "app = web.Application()\n"
        "app.router.add_get('/hello', hello)\n"
        "app.on_startup.append(connect)\n"
    )
    own = OwnApp("away:app", str(tmp_path), None)
    assert _pages(own, look_at(own)) == ([Page("/hello")], [])
    assert "note: its pages were not asked: app-aiohttp failed to start" in capsys.readouterr().err


def test_what_a_factory_is_given_stands_in_what_init_writes() -> None:
    """As TOML where it is written so."""
    given = ("config=dev.toml", "debug=true", "workers=2", 'name="a b"', "hosts=[1, 2]")
    read = tomllib.loads(_text("shop:make_app", ["aiohttp"], [], given))
    assert read["arguments"] == {
        "config": "dev.toml",
        "debug": True,
        "workers": 2,
        "name": "a b",
        "hosts": [1, 2],
    }
