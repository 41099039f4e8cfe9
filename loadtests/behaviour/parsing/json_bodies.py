"""JSON in requests and answers: broken, mislabelled, beyond what numbers can be, and its bytes."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.applications import aiohttp_app
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments
from loopbench.loadtests.behaviour.parsing import scene
from loopbench.loadtests.behaviour.parsing.scene import head, post, reply_to
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, Build

READ_AND_ANSWERED = scene.readers(lambda request: request.json(), lambda: request.get_json())
NUMBERS = {
    "NaN": b"NaN",
    "1e400": b"1e400",
    "9007199254740993": b"9007199254740993",
    "0.1 with 30 digits": b"0.1" + 29 * b"0" + b"1",
    "an integer of 4,301 digits": 4301 * b"1",
}


@experiments("json-numbers", READ_AND_ANSWERED, NUMBERS)
def ask_number(application: Build, number: bytes) -> Answer:
    reply = reply_to(application(), post("/", "application/json", number))
    said = reply.text.strip()
    if reply.status != 200:
        return Answer(f"{reply.status}", f"{len(number)} characters were sent; {said[:60]!r}")
    kept = "the same" if said.encode() == number else said
    return Answer(f"answers {kept}", f"sent {number.decode()[:40]}, read and answered {said[:40]}")


def aiohttp_catching(*catch: type[Exception]) -> web.Application:
    async def read(request: web.Request) -> Any:
        try:
            return await request.json()
        except catch as error:
            raise web.HTTPBadRequest(text=f"not JSON: {error}") from error

    return scene.aiohttp_reader(read)


def quart_answering(silent: bool = False) -> Quart:
    async def read() -> bytes:
        return f"read as {await request.get_json(silent=silent)!r}".encode()

    return scene.quart_reader(read)


def bad(way: str = "") -> dict[str, bytes]:
    """Bodies that are no JSON, by the setting under which they are read in that way."""
    bodies = {"broken": b'{"a":', "empty": b"", "not UTF-8": b'{"a": "\xff"}'}
    named = {", ".join(filter(None, (f"{name} body", way))): body for name, body in bodies.items()}
    return {DEFAULT if name == "broken body" else name: body for name, body in named.items()}


CATCHING = {AIOHTTP: partial(aiohttp_catching, json.JSONDecodeError)}
CATCHING_MORE = {AIOHTTP: partial(aiohttp_catching, ValueError)}
SILENT = {QUART: partial(quart_answering, silent=True)}


@experiments("json-bad", {AIOHTTP: aiohttp_catching}, bad())
@experiments("json-bad", CATCHING, bad("except json.JSONDecodeError"))
@experiments("json-bad", CATCHING_MORE, bad("except ValueError"))
@experiments("json-bad", {QUART: quart_answering}, bad())
@experiments("json-bad", SILENT, bad("get_json(silent=True)"))
def ask_bad(application: Build, body: bytes) -> Answer:
    seen = scene.exchanged(application(), post("/", "application/json", body))
    read = f", {seen.reply.text}" if seen.reply and seen.reply.status == 200 else ""
    return Answer(f"{seen.status}{read}", seen.told)


def aiohttp_checking() -> web.Application:
    async def read(request: web.Request) -> Any:
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        return await request.json()

    return scene.aiohttp_reader(read)


TYPES = ("text/plain", "no Content-Type", "application/problem+json")
CHECKED = "text/plain, request.content_type checked"
FORCED = "text/plain, get_json(force=True)"
FORCING = partial(scene.quart_reader, lambda: request.get_json(force=True))


@experiments("json-wrong-type", READ_AND_ANSWERED, TYPES)
@experiments("json-wrong-type", READ_AND_ANSWERED, ("application/json; charset=latin-1",))
@experiment("json-wrong-type", AIOHTTP, CHECKED, aiohttp_checking, "text/plain")
@experiment("json-wrong-type", QUART, FORCED, FORCING, "text/plain")
def ask_type(application: Build, sent: str) -> Answer:
    content_type = "" if sent == "no Content-Type" else sent
    reply = reply_to(application(), post("/", content_type, '{"é": 1}'.encode()))
    said = " ".join(reply.text[:80].split())
    evidence = f"a JSON object of UTF-8 as {content_type or 'nothing'}: {reply.status}, {said!r}"
    if reply.status != 200:
        return Answer(f"{reply.status}", evidence)
    read = json.loads(reply.body)
    return Answer(
        "read" if read == {"é": 1} else "None" if read is None else f"read as {read}", evidence
    )


VALUE = {"b": 1, "a": "é"}


def aiohttp_dumping(dumps: Any = json.dumps) -> web.Application:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response(VALUE, dumps=dumps)

    return aiohttp_app(web.get("/", handler))


def quart_jsonifying(debug: bool = False, **settings: bool) -> Quart:
    app = scene.quart_reader(lambda: VALUE)
    app.debug = debug
    for name, value in settings.items():
        setattr(app.json, name, value)
    return app


COMPACT = partial(json.dumps, separators=(",", ":"))
UNESCAPED = partial(json.dumps, ensure_ascii=False)
dumping = partial(experiment, "json-answer-format", AIOHTTP)
jsonifying = partial(experiment, "json-answer-format", QUART)


@dumping(DEFAULT, aiohttp_dumping)
@dumping("dumps=partial(json.dumps, separators=(',', ':'))", partial(aiohttp_dumping, COMPACT))
@dumping("dumps=partial(json.dumps, ensure_ascii=False)", partial(aiohttp_dumping, UNESCAPED))
@jsonifying(DEFAULT, quart_jsonifying)
@jsonifying("debug=True", partial(quart_jsonifying, debug=True))
@jsonifying("app.json.sort_keys=False", partial(quart_jsonifying, sort_keys=False))
@jsonifying("app.json.compact=False", partial(quart_jsonifying, compact=False))
@jsonifying("app.json.ensure_ascii=False", partial(quart_jsonifying, ensure_ascii=False))
def ask_format(application: Build) -> Answer:
    reply = reply_to(application(), head("GET", "/"))
    content_type = reply.header("content-type") or "no Content-Type"
    charset = "charset" if "charset=" in content_type else "no charset"
    newline = ", then a newline" if reply.text.endswith("\n") else ""
    in_lines = "\n" in reply.text.strip()
    text = " ".join(reply.text.split()) if in_lines else reply.text.strip()
    lines = ", in lines" if in_lines else ""
    return Answer(f"{text}{lines}{newline}, {charset}", f"{reply.body!r} as {content_type}")
