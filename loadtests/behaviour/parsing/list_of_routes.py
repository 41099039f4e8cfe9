"""The routes of an application, as it lists them itself."""

from __future__ import annotations

from aiohttp import web
from quart import Blueprint, Quart

from loopbench.loadtests.behaviour.framework.question import Answer, Experiment, Question


def _answer(listed: set[str], written: set[str]) -> Answer:
    """listed, written: method and path of each."""
    missing, added = sorted(written - listed), sorted(listed - written)
    complete = f"not {', '.join(missing)}" if missing else "all"
    return Answer(
        f"{complete}; and {', '.join(added)}" if added else complete,
        f"listed: {', '.join(sorted(listed))}",
    )


def on_aiohttp() -> Answer:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    part = web.Application()
    part.router.add_get("/in/{name}", handler)
    app = web.Application()
    app.router.add_get("/", handler)
    app.router.add_post("/users/{id}", handler)
    app.router.add_static("/files", ".", name="files")
    app.add_subapp("/part", part)
    listed = {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.resource is not None
    }
    written = {"GET /", "POST /users/{id}", "GET /files", "GET /part/in/{name}"}
    return _answer(listed, written)


def on_quart() -> Answer:
    app = Quart(__name__)
    part = Blueprint("part", __name__, url_prefix="/part")

    async def handler() -> str:
        return ""

    part.add_url_rule("/in/<name>", "in", handler)
    app.add_url_rule("/", "root", handler)
    app.add_url_rule("/users/<int:id>", "users", handler, methods=["POST"])
    app.register_blueprint(part)
    listed = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    return _answer(listed, {"GET /", "POST /users/<int:id>", "GET /part/in/<name>"})


QUESTION = Question(
    asks="Does an application list all its routes, and what that one has not written?",
    experiments=(
        Experiment("aiohttp", "app.router.routes()", on_aiohttp),
        Experiment("quart-hypercorn", "app.url_map.iter_rules()", on_quart),
    ),
    follows={
        "all*": "Dynamic routes and those of nested applications or blueprints are in it; leave "
        "out HEAD and OPTIONS when you print it.",
    },
)
