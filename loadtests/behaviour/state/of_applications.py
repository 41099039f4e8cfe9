"""What an application keeps for all requests: names, nested applications, later changes."""

from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Blueprint, Quart, current_app, g, request

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, App, Build, serve
from loopbench.loadtests.behaviour.asking import Answer, experiment, variants
from loopbench.loadtests.behaviour.framework.events import kinds, warned
from loopbench.loadtests.behaviour.parsing.scene import aiohttp_reader, quart_length, quart_reader
from loopbench.loadtests.behaviour.talking import Wire, get, reply_of

MINE, THEIRS = web.AppKey("limit", int), web.AppKey("limit", int)
"""Two parts of a program that chose the same name."""


def strings(app: web.Application) -> apps.Plain:
    app["limit"] = 1
    app["limit"] = 2
    return lambda: app["limit"]


def keys(app: web.Application) -> apps.Plain:
    app[MINE] = 1
    app[THEIRS] = 2
    return lambda: app[MINE]


def attribute(app: Any) -> apps.Plain:
    app.limit = 1
    app.limit = 2
    return lambda: app.limit


def config(app: Quart) -> apps.Plain:
    app.config["LIMIT"] = 1
    app.config["LIMIT"] = 2
    return lambda: current_app.config["LIMIT"]


def extensions(app: Quart) -> apps.Plain:
    app.extensions["mine"] = {"limit": 1}
    app.extensions["theirs"] = {"limit": 2}
    return lambda: current_app.extensions["mine"]["limit"]


@experiment("app-keys", AIOHTTP, 'app["limit"]', apps.CALLING[AIOHTTP], strings)
@experiment("app-keys", AIOHTTP, 'web.AppKey("limit", int)', apps.CALLING[AIOHTTP], keys)
@experiment("app-keys", AIOHTTP, "app.limit", apps.CALLING[AIOHTTP], attribute)
@experiment("app-keys", QUART, 'app.config["LIMIT"]', apps.CALLING[QUART], config)
@experiment("app-keys", QUART, 'app.extensions["…"]', apps.CALLING[QUART], extensions)
@experiment("app-keys", QUART, "app.limit", apps.CALLING[QUART], attribute)
def ask_same_name(
    application: Callable[[apps.Plain], App], store: Callable[[Any], apps.Plain]
) -> Answer:
    app = application(lambda: read())
    with warned() as caught:
        read = store(app)
        value = reply_of(app).text
    kept = {"1": "kept apart", "2": "the later one counts"}[value]
    names = " and ".join(kinds(caught)) or "no warning"
    evidence = f"the first of the two found {value}; warnings: {len(caught)}"
    return Answer(f"{kept}, {names}", evidence)


LIMIT, SHARED = web.AppKey("limit", str), web.AppKey("shared", dict[str, str])


def aiohttp_changing() -> web.Application:
    """GET / tells the state: what the key holds, and what the dictionary in it holds."""
    app = aiohttp_reader(lambda request: f"{request.app[LIMIT]} {request.app[SHARED].get('limit')}")
    app[LIMIT] = "old"
    app[SHARED] = {}
    return app


def set_key(app: web.Application) -> None:
    app[LIMIT] = "new"


new = apps.asynchronous(lambda: web.Response(text="new"))


async def new_header(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["X-New"] = "new"


quart_new = apps.asynchronous(lambda: "new")
CHANGES_OF_AIOHTTP: dict[str, Callable[[Any], object]] = {
    "app[key] = …": set_key,
    "app[key] is changed within": lambda app: app[SHARED].update(limit="new"),
    "app.router.add_get": lambda app: app.router.add_get("/new", new),
    "app.middlewares.append": lambda app: app.middlewares.append(web.middleware(new)),
    "app.on_response_prepare.append": lambda app: app.on_response_prepare.append(new_header),
}
CHANGES_OF_QUART: dict[str, Callable[[Quart], object]] = {
    "app.add_url_rule": lambda app: app.add_url_rule("/new", view_func=quart_new),
    "app.before_request": lambda app: app.before_request(quart_new),
}

quart_old = partial(quart_reader, lambda: "old")
AFTER = {"before the first request": False, "after the first request": True}


@variants("change-after-start", {AIOHTTP: CHANGES_OF_AIOHTTP}, False, aiohttp_changing)
@variants("change-after-start", {QUART: CHANGES_OF_QUART}, quart_old, each=AFTER)
def ask_change(change: Callable[[Any], object], after: bool, application: Build) -> Answer:
    """Change the application while it serves, before or after the first request."""
    app, refused = application(), ""
    with serve(app) as server:
        if after:
            get(server.port, "/")
        with warned() as caught:
            try:
                server.call(apps.asynchronous(partial(change, app))())
            except Exception as error:
                refused = type(error).__name__
        replies = [get(server.port, target) for target in ("/", "/new")]
    shown = any("new" in reply.text or reply.header("x-new") for reply in replies)
    effect = "takes effect" if shown else "has no effect"
    reaction = refused or " and ".join(kinds(caught)) or "nothing is said"
    statuses = " and ".join(f"{reply.status} {reply.text[:12]!r}" for reply in replies)
    return Answer(
        f"{reaction}, it {effect}", f"afterwards / and /new answered {statuses}; {reaction}"
    )


def _post(port: int) -> str:
    with Wire(port) as wire:
        reply = wire.ask("POST", "/", body=b"x" * 100)
    return f"{reply.status} to 100 bytes"


def tell_or_take() -> Any:
    return quart_length() if request.method == "POST" else current_app.config["LIMIT"]


configured = partial(experiment, "config-after-start", QUART)


@configured('app.config["LIMIT"]', lambda port: get(port, "/").text, LIMIT="new")
@configured('app.config["MAX_CONTENT_LENGTH"]', _post, MAX_CONTENT_LENGTH=10)
def change_config(state: Callable[[int], str], **config: Any) -> Answer:
    app = quart_reader(tell_or_take, LIMIT="old")
    with serve(app) as server:
        before = state(server.port)
        app.config.update(config)
        after = state(server.port)
    changed = "the next request obeys it" if before != after else "it is not obeyed"
    return Answer(changed, f"before the change the answer was {before}, after it {after}")


@experiment("config-after-start", AIOHTTP, "client_max_size")
def look_for_limits() -> Answer:
    """client_max_size, of all that the constructor takes, would be the counterpart."""
    app = aiohttp_reader(client_max_size=1000)
    with serve(app) as server:
        posted = _post(server.port)
    nearest = f"client_max_size of the constructor: {posted} where 1,000 are allowed"
    return apps.counterpart(dir(app), "(?!_).*max.*", nearest)


def aiohttp_nested(look: Callable[[web.Request], str], shadowed: bool = False) -> web.Application:
    """shadowed: the nested application keeps something under the same key."""

    def read(request: web.Request) -> str:
        try:
            return look(request)
        except KeyError:
            return "KeyError"

    outer, inner = web.Application(), aiohttp_reader(read)
    outer[LIMIT] = "the outer one's"
    if shadowed:
        inner[LIMIT] = "the nested one's"
    outer.add_subapp("/inner", inner)
    return outer


def quart_nested(look: Callable[[], str]) -> Quart:
    app, inner = Quart(__name__), Blueprint("inner", __name__, url_prefix="/inner")
    app.config["LIMIT"] = "the outer one's"

    @app.before_request
    async def store() -> None:
        g.limit = "the outer one's"

    inner.add_url_rule("/", view_func=look)
    app.register_blueprint(inner)
    return app


def in_config_dict(request: web.Request) -> str:
    return request.config_dict[LIMIT]


def in_config() -> str:
    return str(current_app.config.get("LIMIT", "nothing"))


CONFIG_DICT, BOTH_HAVE = "request.config_dict[key]", "request.config_dict[key], both have it"


@experiment("nested-lookup", AIOHTTP, "request.app[key]", aiohttp_nested, lambda r: r.app[LIMIT])
@experiment("nested-lookup", AIOHTTP, CONFIG_DICT, aiohttp_nested, in_config_dict)
@experiment("nested-lookup", AIOHTTP, BOTH_HAVE, aiohttp_nested, in_config_dict, True)
@experiment("nested-lookup", QUART, 'current_app.config["LIMIT"]', quart_nested, in_config)
@experiment("nested-lookup", QUART, "g.limit", quart_nested, lambda: g.get("limit", "nothing"))
def ask_nested(application: Build, *look: Any) -> Answer:
    value = reply_of(application(*look), "/inner/").text
    return Answer(value, f"the handler of the nested application got {value!r}")
