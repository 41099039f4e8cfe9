"""A body that says it is JSON and is not."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import exchange, post

BODIES = {"broken": b'{"a":', "empty": b"", "not UTF-8": b'{"a": "\xff"}'}


def on_aiohttp(catch: tuple[type[Exception], ...]) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        try:
            return web.json_response(await request.json())
        except catch as error:
            raise web.HTTPBadRequest(text=f"not JSON: {error}") from error

    app = web.Application()
    app.router.add_post("/", handler)
    return aiohttp_server(app)


def on_quart(silent: bool) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> str:
        return f"read as {await request.get_json(silent=silent)!r}"

    return hypercorn_server(app)


def _answer(server: AbstractContextManager[Live], body: bytes) -> Answer:
    with server as live:
        seen = exchange(live.port, post("/", "application/json", body))
    read = f", {seen.reply.text}" if seen.reply and seen.reply.status == 200 else ""
    return Answer(f"{seen.reply.status if seen.reply else 'no answer'}{read}", seen.told)


def ask_aiohttp(body: bytes, catch: tuple[type[Exception], ...] = ()) -> Answer:
    return _answer(on_aiohttp(catch), body)


def ask_quart(body: bytes, silent: bool = False) -> Answer:
    return _answer(on_quart(silent), body)


def _settings(way: str) -> dict[str, bytes]:
    return {
        (f"{name} body, {way}" if way else DEFAULT if name == "broken" else f"{name} body"): body
        for name, body in BODIES.items()
    }


QUESTION = Question(
    asks="What does a client get that sends bad JSON?",
    experiments=(
        *(
            Experiment("aiohttp", setting, partial(ask_aiohttp, body))
            for setting, body in _settings("").items()
        ),
        *(
            Experiment("aiohttp", setting, partial(ask_aiohttp, body, (json.JSONDecodeError,)))
            for setting, body in _settings("except json.JSONDecodeError").items()
        ),
        *(
            Experiment("aiohttp", setting, partial(ask_aiohttp, body, (ValueError,)))
            for setting, body in _settings("except ValueError").items()
        ),
        *(
            Experiment("quart-hypercorn", setting, partial(ask_quart, body))
            for setting, body in _settings("").items()
        ),
        *(
            Experiment("quart-hypercorn", setting, partial(ask_quart, body, silent=True))
            for setting, body in _settings("get_json(silent=True)").items()
        ),
    ),
    claims=(
        Claim(
            "Bad JSON is answered with 400 by itself.",
            {"400": Agrees.YES, "500": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "500": "An exception from reading reaches the server. Catch ValueError, which both "
        "JSONDecodeError and UnicodeDecodeError are, and answer 400.",
        "200, read as None": "None also stands for the JSON null: check what was read.",
    },
)
