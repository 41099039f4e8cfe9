"""JSON under a content type that does not say so."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import head, reply_to

TYPES = ("text/plain", "", "application/problem+json", "application/json; charset=latin-1")


def on_aiohttp(check: bool) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        if check and request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        return web.Response(text=f"{await request.json()!r}")

    app = web.Application()
    app.router.add_post("/", handler)
    return aiohttp_server(app)


def on_quart(force: bool) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> str:
        return f"{await request.get_json(force=force)!r}"

    return hypercorn_server(app)


def ask(server: AbstractContextManager[Live], content_type: str) -> Answer:
    lines = [f"Content-Type: {content_type}"] if content_type else []
    body = '{"é": 1}'.encode()
    with server as live:
        data = head("POST", "/", *lines, f"Content-Length: {len(body)}") + body
        reply = reply_to(live.port, data)
    said = " ".join(reply.text[:80].split())
    evidence = f"a JSON object of UTF-8 as {content_type or 'nothing'}: {reply.status}, {said!r}"
    if reply.status != 200:
        return Answer(f"{reply.status}", evidence)
    words = {"{'é': 1}": "read", "None": "None"}
    return Answer(words.get(reply.text, f"read as {reply.text}"), evidence)


def ask_aiohttp(content_type: str, check: bool = False) -> Answer:
    return ask(on_aiohttp(check), content_type)


def ask_quart(content_type: str, force: bool = False) -> Answer:
    return ask(on_quart(force), content_type)


def _setting(content_type: str) -> str:
    return content_type or "no Content-Type"


QUESTION = Question(
    asks="Is JSON read whose Content-Type does not say so?",
    experiments=(
        *(Experiment("aiohttp", _setting(one), partial(ask_aiohttp, one)) for one in TYPES),
        Experiment(
            "aiohttp",
            "text/plain, request.content_type checked",
            partial(ask_aiohttp, "text/plain", check=True),
        ),
        *(Experiment("quart-hypercorn", _setting(one), partial(ask_quart, one)) for one in TYPES),
        Experiment(
            "quart-hypercorn",
            "text/plain, get_json(force=True)",
            partial(ask_quart, "text/plain", force=True),
        ),
    ),
    claims=(
        Claim(
            "`get_json` answers 415 where the content type is not JSON, as in Flask.",
            {"415": Agrees.YES, "None": Agrees.NO},
            ("quart-hypercorn",),
        ),
        Claim(
            "`request.json()` checks the content type.",
            {"4*": Agrees.YES, "read": Agrees.NO},
            ("aiohttp",),
        ),
    ),
    follows={
        "None": "Nothing is raised: `get_json()` gives None, and the handler fails later or stores "
        "nothing. Check for None, or pass `force=True`.",
        "read": "Where only JSON may be sent (a browser's form can send text/plain to another "
        "site), check `request.content_type` yourself.",
    },
)
