"""Paths: slashes too many or too few, parameters, escapes, and an application's own list."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Blueprint, Quart, jsonify
from quart import Response as QuartResponse

from loopbench.loadtests.behaviour.applications import aiohttp_app
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments
from loopbench.loadtests.behaviour.parsing.scene import exchange, head, reply_to
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App, Build, serve


def aiohttp_route(path: str, **options: Any) -> web.Application:
    """GET path answers with the parameters of the path. options: of the Application."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response(dict(request.match_info))

    return aiohttp_app(web.get(path, handler), **options)


def quart_route(path: str, merge_slashes: bool = True, **options: Any) -> Quart:
    """GET path answers with the parameters of the path. options: of the route."""
    app = Quart(__name__)
    app.url_map.merge_slashes = merge_slashes

    @app.get(path, **options)
    async def handler(**parameters: Any) -> QuartResponse:
        return jsonify(parameters)

    return app


def ask_path(application: Build, target: str) -> Answer:
    """GET target: the status, and the parameters or the place that it is sent to."""
    reply = reply_to(application(), head("GET", target))
    if reply.status == 200:
        found = json.loads(reply.body).items()
        values = ", ".join(f"{name} is {value!r}" for name, value in found)
        text = f"200, {values}" if values else "200"
        return Answer(text, f"GET {target[:60]} gave {text}")
    to = reply.header("location")
    text = f"{reply.status} to {to.removeprefix('http://localhost')}" if to else f"{reply.status}"
    place = f" with Location: {to}" if to else ""
    return Answer(text, f"GET {target[:60]} gave {reply.status}{place}")


def aiohttp_merging() -> web.Application:
    merge = web.normalize_path_middleware(append_slash=False, merge_slashes=True)
    return aiohttp_route("/a/b", middlewares=[merge])


DOUBLE_SLASH = (
    (AIOHTTP, "", partial(aiohttp_route, "/a/b")),
    (AIOHTTP, ", normalize_path_middleware(merge_slashes=True)", aiohttp_merging),
    (QUART, "", partial(quart_route, "/a/b")),
    (QUART, ", url_map.merge_slashes=False", partial(quart_route, "/a/b", merge_slashes=False)),
)
for stack, how, application in DOUBLE_SLASH:
    for target in ("//a/b", "/a//b"):
        experiment("double-slash", stack, f"GET {target}{how}", application, target)(ask_path)


def aiohttp_normalizing(path: str) -> web.Application:
    append = path.endswith("/")
    normalize = web.normalize_path_middleware(append_slash=append, remove_slash=not append)
    return aiohttp_route(path, middlewares=[normalize])


TRAILING_SLASH: tuple[tuple[str, str, Callable[[str], App]], ...] = (
    (AIOHTTP, "", aiohttp_route),
    (AIOHTTP, ", normalize_path_middleware", aiohttp_normalizing),
    (QUART, "", quart_route),
    (QUART, ", strict_slashes=False", partial(quart_route, strict_slashes=False)),
)
for stack, how, with_route in TRAILING_SLASH:
    for route, target in (("/a", "/a/"), ("/a/", "/a")):
        setting = f"route {route}, GET {target}{how}"
        experiment("trailing-slash", stack, setting, partial(with_route, route), target)(ask_path)

PARAMETERS: tuple[tuple[str, Callable[[str], App], tuple[str, ...]], ...] = (
    (AIOHTTP, aiohttp_route, (r"/{n}", r"/{n:\d+}")),
    (QUART, quart_route, ("/<n>", "/<int:n>", "/<int(signed=True):n>")),
)
FILES: tuple[tuple[str, Callable[[str], App], tuple[str, ...]], ...] = (
    (AIOHTTP, aiohttp_route, ("/files/{name}", "/files/{name:.+}")),
    (QUART, quart_route, ("/files/<name>", "/files/<path:name>")),
)
for question, rows, targets in (
    ("path-parameter-types", PARAMETERS, ("/7", "/007", "/-7", "/x")),
    ("percent-encoded-slash", FILES, ("/files/a%2Fb", "/files/a%252Fb")),
):
    for stack, with_route, routes in rows:
        for route in routes:
            for target in targets:
                setting = f"route {route}, GET {target}"
                experiment(question, stack, setting, partial(with_route, route), target)(ask_path)

USERS: dict[str, Build] = {
    AIOHTTP: partial(aiohttp_route, "/users/{name}"),
    QUART: partial(quart_route, "/users/<name>"),
}
LETTERS = {
    "%C3%A9": b"/users/%C3%A9",
    "the same letter in two code points": b"/users/e%CC%81",
    "UTF-8 as it is": b"/users/\xc3\xa9",
    "%E9, Latin-1": b"/users/%E9",
    "%00": b"/users/a%00b",
}


@experiments("unicode-path", USERS, LETTERS)
def ask_letters(application: Build, target: bytes) -> Answer:
    with serve(application()) as server:
        seen = exchange(server.port, b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    if seen.reply is None or seen.reply.status != 200:
        return Answer(seen.words, seen.told)
    name = json.loads(seen.reply.body)["name"]
    return Answer(f"read as {name!a}", f"{target!r} was read as {name!r}, {len(name)} long")


def _listed(listed: set[str], written: set[str]) -> Answer:
    """listed, written: method and path of each."""
    missing, added = sorted(written - listed), sorted(listed - written)
    complete = f"not {', '.join(missing)}" if missing else "all"
    return Answer(
        f"{complete}; and {', '.join(added)}" if added else complete,
        f"listed: {', '.join(sorted(listed))}",
    )


@experiment("list-of-routes", AIOHTTP, "app.router.routes()")
def list_on_aiohttp() -> Answer:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    written = web.get("/", handler), web.post("/users/{id}", handler), web.static("/files", ".")
    app = aiohttp_app(*written)
    app.add_subapp("/part", aiohttp_app(web.get("/in/{name}", handler)))
    routes = [(one.method, one.resource) for one in app.router.routes()]
    listed = {f"{method} {resource.canonical}" for method, resource in routes if resource}
    return _listed(listed, {"GET /", "POST /users/{id}", "GET /files", "GET /part/in/{name}"})


@experiment("list-of-routes", QUART, "app.url_map.iter_rules()")
def list_on_quart() -> Answer:
    app = Quart(__name__)
    part = Blueprint("part", __name__, url_prefix="/part")

    async def handler() -> str:
        return ""

    part.add_url_rule("/in/<name>", "in", handler)
    app.add_url_rule("/", "root", handler)
    app.add_url_rule("/users/<int:id>", "users", handler, methods=["POST"])
    app.register_blueprint(part)
    rules = app.url_map.iter_rules()
    listed = {f"{method} {rule.rule}" for rule in rules for method in rule.methods or ()}
    return _listed(listed, {"GET /", "POST /users/<int:id>", "GET /part/in/<name>"})
