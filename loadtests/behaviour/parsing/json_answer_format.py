"""The bytes of an answer in JSON."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, jsonify
from quart import Response as QuartResponse
from quart.json.provider import DefaultJSONProvider

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Reply, get
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server

VALUE = {"b": 1, "a": "é"}


def _answer(reply: Reply) -> Answer:
    content_type = reply.header("content-type") or "no Content-Type"
    charset = "charset" if "charset=" in content_type else "no charset"
    newline = ", then a newline" if reply.text.endswith("\n") else ""
    text = " ".join(reply.text.split()) if "\n" in reply.text.strip() else reply.text.strip()
    lines = ", in lines" if "\n" in reply.text.strip() else ""
    return Answer(f"{text}{lines}{newline}, {charset}", f"{reply.body!r} as {content_type}")


def on_aiohttp(dumps: Any = json.dumps) -> Answer:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response(VALUE, dumps=dumps)

    app = web.Application()
    app.router.add_get("/", handler)
    with aiohttp_server(app) as server:
        return _answer(get(server.port, "/"))


def on_quart(debug: bool = False, **settings: bool) -> Answer:
    app = Quart(__name__)
    app.debug = debug
    assert isinstance(app.json, DefaultJSONProvider)
    for name, value in settings.items():
        setattr(app.json, name, value)

    @app.get("/")
    async def handler() -> QuartResponse:
        return jsonify(VALUE)

    with hypercorn_server(app) as server:
        return _answer(get(server.port, "/"))


COMPACT = partial(json.dumps, separators=(",", ":"))

QUESTION = Question(
    asks="How is an answer in JSON written?",
    experiments=(
        Experiment("aiohttp", DEFAULT, on_aiohttp),
        Experiment(
            "aiohttp",
            "dumps=partial(json.dumps, separators=(',', ':'))",
            partial(on_aiohttp, COMPACT),
        ),
        Experiment(
            "aiohttp",
            "dumps=partial(json.dumps, ensure_ascii=False)",
            partial(on_aiohttp, partial(json.dumps, ensure_ascii=False)),
        ),
        Experiment("quart-hypercorn", DEFAULT, on_quart),
        Experiment("quart-hypercorn", "debug=True", partial(on_quart, debug=True)),
        *(
            Experiment(
                "quart-hypercorn", f"app.json.{name}=False", partial(on_quart, **{name: False})
            )
            for name in ("sort_keys", "compact", "ensure_ascii")
        ),
    ),
    claims=(
        Claim(
            "`jsonify` keeps the order of a dict's keys.",
            {'{"b"*': Agrees.YES, '{ "b"*': Agrees.YES, '{*"a"*"b"*': Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        '{"a":*': "Keys come sorted, so that equal values have equal bytes; "
        "`app.json.sort_keys = False` keeps the order and spares the sorting.",
        '{"b": *': "There is a blank after each comma and colon: pass `dumps` with "
        "`separators=(',', ':')` where bytes count.",
    },
)
