"""Paths: slashes, parameters, escapes, an application's own list; and methods: HEAD and OPTIONS
that nobody wrote, and those that a path or HTTP does not know."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Blueprint, Quart, request

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, ANSWERING, QUART, App, Apps, Build
from loopbench.loadtests.behaviour.asking import Answer, Variants, experiment, experiments, variants
from loopbench.loadtests.behaviour.parsing.scene import PLAIN, exchanged, outcome, readers, reading
from loopbench.loadtests.behaviour.talking import Reply, as_seen, head, reply_of, seen

aiohttp_route = partial(PLAIN[AIOHTTP], lambda request: dict(request.match_info))
"""GET of the path that it is given answers with the parameters of the path."""


def quart_route(path: str, merge_slashes: bool = True, **options: Any) -> Quart:
    """The same. options: of the route."""
    app = Quart(__name__)
    app.url_map.merge_slashes = merge_slashes

    @app.get(path, **options)
    async def handler(**parameters: Any) -> dict[str, Any]:
        return parameters

    return app


def aiohttp_normalizing(path: str) -> App:
    """It redirects paths with slashes too many, or too few, to that of the route."""
    append = path.endswith("/")
    normalize = web.normalize_path_middleware(append_slash=append, remove_slash=not append)
    return aiohttp_route(path, middlewares=[normalize])


def routes(make: Callable[[str], App], *paths: str) -> dict[str, Build]:
    """An application for each of these routes."""
    return {path: partial(make, path) for path in paths}


DOUBLE_SLASH: Variants = {
    AIOHTTP: {
        "": partial(aiohttp_route, "/a/b"),
        ", normalize_path_middleware(merge_slashes=True)": partial(aiohttp_normalizing, "/a/b"),
    },
    QUART: {
        "": partial(quart_route, "/a/b"),
        ", url_map.merge_slashes=False": partial(quart_route, "/a/b", merge_slashes=False),
    },
}
PARAMETERS: Variants = {
    AIOHTTP: routes(aiohttp_route, r"/{n}", r"/{n:\d+}"),
    QUART: routes(quart_route, "/<n>", "/<int:n>", "/<int(signed=True):n>"),
}
FILES: Variants = {
    AIOHTTP: routes(aiohttp_route, "/files/{name}", "/files/{name:.+}"),
    QUART: routes(quart_route, "/files/<name>", "/files/<path:name>"),
}
SLASHES, NUMBERS = ("//a/b", "/a//b"), ("/7", "/007", "/-7", "/x")
PIECES = 5
ENCODED, NAMED = ("/files/a%2Fb", "/files/a%252Fb"), "route {}, GET {}"


@variants("double-slash", DOUBLE_SLASH, each=SLASHES, named="GET {1}{0}")
@variants("path-parameter-types", PARAMETERS, each=NUMBERS, named=NAMED)
@variants("percent-encoded-slash", FILES, each=ENCODED, named=NAMED)
def ask_path(application: Build, target: str) -> Answer:
    """GET target: the status, and the parameters or the place that it is sent to."""
    reply = reply_of(application(), target)
    parameters = json.loads(reply.body) if reply.status == 200 else {}
    text = ", ".join(
        [f"{reply.status}", *(f"{name} is {parameters[name]!r}" for name in parameters)]
    )
    to = reply.header("location")
    if to:
        text = f"{text} to {to.removeprefix('http://localhost')}"
    return Answer(text, f"GET {target[:60]} gave {text}" + (f", Location: {to}" if to else ""))


TRAILING_SLASH: Variants = {
    AIOHTTP: {"": aiohttp_route, ", normalize_path_middleware": aiohttp_normalizing},
    QUART: {"": quart_route, ", strict_slashes=False": partial(quart_route, strict_slashes=False)},
}
OTHERWISE = {"route /a, GET /a/": ("/a", "/a/"), "route /a/, GET /a": ("/a/", "/a")}


@variants("trailing-slash", TRAILING_SLASH, each=OTHERWISE, named="{1}{0}")
def ask_slash(make: Callable[[str], App], otherwise: tuple[str, str]) -> Answer:
    route, target = otherwise
    return ask_path(partial(make, route), target)


USERS: Apps = {
    AIOHTTP: partial(aiohttp_route, "/users/{name}"),
    QUART: partial(quart_route, "/users/<name>"),
}
LETTERS = {
    "%C3%A9": head("GET", "/users/%C3%A9"),
    "the same letter in two code points": head("GET", "/users/e%CC%81"),
    "UTF-8 as it is": head("GET", "/users/\xe9"),
    "%E9, Latin-1": head("GET", "/users/%E9"),
    "%00": head("GET", "/users/a%00b"),
}


@reading("unicode-path", USERS, LETTERS, fate=True)
def letters(reply: Reply) -> Answer:
    name = json.loads(reply.body)["name"]
    return Answer(f"read as {name!a}", f"it was read as {name!r}, {len(name)} long")


def _listed(listed: set[str], written: set[str]) -> Answer:
    """listed, written: method and path of each."""
    missing, added = sorted(written - listed), sorted(listed - written)
    complete = f"not {', '.join(missing)}" if missing else "all"
    words = f"{complete}; and {', '.join(added)}" if added else complete
    return Answer(words, f"listed: {', '.join(sorted(listed))}")


@experiment("list-of-routes", AIOHTTP, "app.router.routes()")
def list_on_aiohttp() -> Answer:
    handler = apps.asynchronous(web.Response)
    written = web.get("/", handler), web.post("/users/{id}", handler), web.static("/files", ".")
    app = apps.aiohttp_app(*written)
    app.add_subapp("/part", apps.aiohttp_app(web.get("/in/{name}", handler)))
    routes = [(route.method, route.resource) for route in app.router.routes()]
    listed = {f"{method} {resource.canonical}" for method, resource in routes if resource}
    return _listed(listed, {"GET /", "POST /users/{id}", "GET /files", "GET /part/in/{name}"})


@experiment("list-of-routes", QUART, "app.url_map.iter_rules()")
def list_on_quart() -> Answer:
    app, handler = Quart(__name__), apps.asynchronous(str)
    part = Blueprint("part", __name__, url_prefix="/part")
    part.add_url_rule("/in/<name>", "in", handler)
    app.add_url_rule("/", "root", handler)
    app.add_url_rule("/users/<int:id>", "users", handler, methods=["POST"])
    app.register_blueprint(part)
    rules = app.url_map.iter_rules()
    listed = {f"{method} {rule.rule}" for rule in rules for method in rule.methods or ()}
    return _listed(listed, {"GET /", "POST /users/<int:id>", "GET /part/in/<name>"})


def handled(request: Any) -> str:
    """What the handler of either framework does. request: has the method."""
    seen(f"handler, {request.method}")
    return "hello"


HEADS = readers(handled, lambda: handled(request))
ANSWER = apps.asynchronous(web.Response)
UNHEADED = partial(apps.aiohttp_app, web.get("/", ANSWER, allow_head=False))


@experiments("head-on-get", HEADS)
@experiment("head-on-get", AIOHTTP, "allow_head=False", UNHEADED)
def ask_head(application: Build) -> Answer:
    got = exchanged(application(), head("HEAD", "/"), to_head=True)
    if got.reply is None or got.reply.status != 200:
        return Answer(got.words, got.in_words)
    ran = "the handler ran" if "handler, HEAD" in seen else "the handler did not run"
    length = f"Content-Length {got.reply.header('content-length')}"
    return as_seen(f"{got.status}, {ran}, {length}", f"no body; the connection {got.fate}")


@experiments("head-on-get", ANSWERING, ("streamed",))
def ask_streamed_head(application: Build, _: str) -> Answer:
    """A body all the same would come in the way of the next answer."""

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(PIECES):
            seen(f"piece {number}")
            yield b"piece"

    got = exchanged(application({"/streamed": pieces}), head("HEAD", "/streamed"), to_head=True)
    made = sum(event.startswith("piece") for event in seen.events)
    return as_seen(f"{got.words}, {made} of {PIECES} pieces made", "none was sent")


NO_OPTIONS = partial(PLAIN[QUART], PROVIDE_AUTOMATIC_OPTIONS=False)
OFF = "PROVIDE_AUTOMATIC_OPTIONS=False"


@experiments("method-not-allowed", PLAIN, (), "DELETE")
@experiments("options-automatic", PLAIN, (), "OPTIONS")
@experiment("options-automatic", QUART, OFF, NO_OPTIONS, "OPTIONS")
def ask_method(application: Build, method: str) -> Answer:
    got = exchanged(application(), head(method, "/"))
    if got.reply is None:
        return Answer(got.words, got.in_words)
    allowed = got.reply.header("allow")
    sorted_ = ", ".join(sorted(allowed.replace(" ", "").split(","))) if allowed else "none"
    return Answer(f"{got.reply.status}, Allow: {sorted_}", f"Allow: {allowed}; {got.in_words}")


def quart_unusual() -> Quart:
    app = Quart(__name__)
    for path, method in (("/", "GET"), ("/purge", "PURGE"), ("/foo", "FOO")):
        app.add_url_rule(path, path, apps.asynchronous(str), methods=[method])
    return app


PURGE, FOO = web.route("PURGE", "/purge", ANSWER), web.route("FOO", "/foo", ANSWER)
UNKNOWN = {
    "FOO to a GET route": head("FOO", "/"),
    "FOO to a FOO route": head("FOO", "/foo"),
    "PURGE to a PURGE route": head("PURGE", "/purge"),
    "get to a GET route": head("get", "/"),
}
UNUSUAL: Apps = {
    AIOHTTP: partial(apps.aiohttp_app, web.get("/", ANSWER), PURGE, FOO),
    QUART: quart_unusual,
}
experiments("unknown-method", UNUSUAL, UNKNOWN)(outcome)
