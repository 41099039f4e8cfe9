"""A limit that the framework itself obeys, changed while it serves."""

from __future__ import annotations

from functools import partial

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import NONE, Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.raw_client import Wire, get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

KEYS = ("LIMIT", "MAX_CONTENT_LENGTH")


def _post(port: int) -> int:
    with Wire(port) as wire:
        wire.request("POST", "/", body=b"x" * 100)
        return wire.answer().status


def on_quart(name: str) -> Answer:
    app = Quart(__name__)
    app.config["LIMIT"] = "old"

    @app.get("/")
    async def tell() -> str:
        return str(app.config["LIMIT"])

    @app.post("/")
    async def take() -> str:
        return f"{len(await request.get_data())} bytes"

    with hypercorn_server(app) as server:
        before = _state(server, name)
        app.config[name] = 10 if name == "MAX_CONTENT_LENGTH" else "new"
        after = _state(server, name)
    changed = "the next request obeys it" if before != after else "it is not obeyed"
    return Answer(changed, f"before the change the answer was {before}, after it {after}")


def _state(server: Live, name: str) -> str:
    if name == "MAX_CONTENT_LENGTH":
        return f"{_post(server.port)} to 100 bytes"
    return get(server.port, "/").text


def on_aiohttp() -> Answer:
    """client_max_size, of all that the constructor takes, would be the counterpart."""

    async def take(request: web.Request) -> web.Response:
        return web.Response(text=f"{len(await request.read())} bytes")

    app = web.Application(client_max_size=1000)
    app.router.add_post("/", take)
    with aiohttp_server(app) as server:
        status = _post(server.port)
    public = [name for name in dir(app) if "max" in name and not name.startswith("_")]
    if public:
        return Answer("there is a setting", f"an Application has {', '.join(public)}")
    return Answer(
        NONE,
        f"{status} to 100 bytes where 1,000 are allowed; an Application shows no limit that could "
        "be changed: client_max_size is given once, to its constructor",
    )


QUESTION = Question(
    asks="Is a setting obeyed that is changed while the application serves?",
    experiments=(
        Experiment("aiohttp", "client_max_size", on_aiohttp),
        *(
            Experiment("quart-hypercorn", f'app.config["{name}"]', partial(on_quart, name))
            for name in KEYS
        ),
    ),
    follows={
        NONE: "Decide before the application is made; for a limit of your own, read it from a "
        "mutable object under a `web.AppKey`.",
        "the next request obeys it": "Settings are read at each request: a change needs no "
        "restart, and a test that changes one has to put it back.",
    },
)
