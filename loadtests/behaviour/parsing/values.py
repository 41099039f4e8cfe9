"""Queries, cookies, headers, forms and JSON: what comes twice, is blank, broken, or too much; and
the bytes of JSON in answers."""

from __future__ import annotations

import json
from functools import partial
from typing import IO, Any

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.applications import aiohttp_app
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments
from loopbench.loadtests.behaviour.parsing.scene import (
    aiohttp_reader,
    exchanged,
    head,
    post,
    quart_reader,
    readers,
    reply_to,
)
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, Build

QUERIES = ("?a=1&a=2", "?a=&b", "?a=1+2", "?a=%zz", "?a=%FF", "?a=1;b=2", "?A=1&a=2")
QUERY = readers(
    aiohttp=lambda request: {"pairs": list(request.query.items()), "by name": request.query["a"]},
    quart=lambda: {"pairs": list(request.args.items(multi=True)), "by name": request.args["a"]},
)


@experiments("query", QUERY, QUERIES)
def ask_query(application: Build, query: str) -> Answer:
    reply = reply_to(application(), head("GET", f"/{query}"))
    if reply.status != 200:
        return Answer(f"{reply.status}", f"it said {reply.text[:80]!r}")
    seen = json.loads(reply.body)
    pairs = ", ".join(f"{name}={value!r}" for name, value in seen["pairs"])
    keys = [name for name, _ in seen["pairs"]]
    by_name = f"; by name {seen['by name']!r}" if keys.count("a") > 1 else ""
    return Answer(f"{pairs}{by_name}", f"the pairs were {pairs}, and a by name {seen['by name']!r}")


COOKIES = readers(
    aiohttp=lambda request: dict(request.cookies),
    quart=lambda: {name: request.cookies[name] for name in request.cookies},
)
COOKIE_HEADERS = {
    "Cookie: a=1; a=2": ("Cookie: a=1; a=2",),
    "Cookie: a=1 and Cookie: b=2": ("Cookie: a=1", "Cookie: b=2"),
    'Cookie: a="x y"': ('Cookie: a="x y"',),
    "Cookie: a=x y": ("Cookie: a=x y",),
    "Cookie: a=%41": ("Cookie: a=%41",),
    "Cookie: b; a=1": ("Cookie: b; a=1",),
}


@experiments("cookies", COOKIES, COOKIE_HEADERS)
def ask_cookies(application: Build, headers: tuple[str, ...]) -> Answer:
    reply = reply_to(application(), head("GET", "/", *headers))
    if reply.status != 200:
        return Answer(f"{reply.status}", f"it said {reply.text[:60]!r}")
    found = json.loads(reply.body)
    twice = sum(header.count("a=") for header in headers) > 1
    which = {"1": ", the first", "2": ", the last"}[found["a"]] if twice else ""
    words = ", ".join(f"{name} is {value!r}" for name, value in sorted(found.items())) or "nothing"
    return Answer(f"{words}{which}", f"the handler saw {words}")


HEADER = readers(
    aiohttp=lambda request: [request.headers.get("X"), request.headers.getall("X", [])],
    quart=lambda: [request.headers.get("X"), request.headers.getlist("X")],
)
HEADER_LINES = ("X: 1 and X: 2", "X:1", "X:  1  ", "X: é", "X:", "x: 1")


@experiments("header-values", HEADER, HEADER_LINES)
def ask_header(application: Build, lines: str) -> Answer:
    reply = reply_to(application(), head("GET", "/", *lines.split(" and ")))
    if reply.status != 200:
        return Answer(f"{reply.status}", f"it said {reply.text[:60]!r}")
    by_name, all_of = json.loads(reply.body)
    return Answer(f"{by_name!r}, all: {all_of}", f"X by name was {by_name!r} of {all_of}")


URL_ENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=mark"

Form = tuple[str, bytes]
"""Content type and body."""


def _part(name: str, value: bytes, filename: str = "") -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    described = f'--mark\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return described.encode() + value + b"\r\n"


def _multipart(*parts: bytes) -> Form:
    return MULTIPART, b"".join(parts) + b"--mark--\r\n"


async def aiohttp_repeated(request: web.Request) -> Any:
    form = await request.post()
    return {"by name": form["a"], "all": form.getall("a"), "as a dict": dict(form)["a"]}


async def quart_repeated() -> Any:
    form = await request.form
    return {"by name": form["a"], "all": form.getlist("a"), "as a dict": dict(form)["a"]}


REPEATED: dict[str, Form] = {
    "URL-encoded": (URL_ENCODED, b"a=1&a=2"),
    "multipart": _multipart(_part("a", b"1"), _part("a", b"2")),
}


@experiments("form-repeated-keys", readers(aiohttp_repeated, quart_repeated), REPEATED)
def ask_repeated(application: Build, form: Form) -> Answer:
    seen = json.loads(reply_to(application(), post("/", *form)).body)
    which = {"1": "the first", "2": "the last"}
    as_dict = seen["as a dict"]
    dict_gives = which[as_dict] if isinstance(as_dict, str) else f"a list of {len(as_dict)}"
    told = ", ".join(f"{how}: {value}" for how, value in seen.items())
    return Answer(
        f"by name {which[seen['by name']]}, in a dict {dict_gives}", f"a=1 and a=2; {told}"
    )


async def aiohttp_count(request: web.Request) -> int:
    return len(await request.post())


async def quart_count() -> int:
    return len(await request.form) + len(await request.files)


LARGE: dict[str, Form] = {
    "multipart, a field of 600,000 bytes": _multipart(_part("a", bytes(600_000))),
    "multipart, 4 fields of 400,000 bytes": _multipart(
        *(_part(f"a{number}", bytes(400_000)) for number in range(4))
    ),
    "multipart, a file of 2 MiB": _multipart(_part("a", bytes(2**21), "f")),
    "multipart, 1,001 fields": _multipart(*(_part(f"a{number}", b"") for number in range(1001))),
    "URL-encoded, a field of 600,000 bytes": (URL_ENCODED, b"a=" + 600_000 * b"x"),
    "URL-encoded, 1,001 fields": (URL_ENCODED, b"&".join(b"a%d=" % n for n in range(1001))),
}


@experiments("body-limit-form", readers(aiohttp_count, quart_count), LARGE)
def ask_large(application: Build, form: Form) -> Answer:
    seen = exchanged(application(), post("/", *form))
    return Answer(seen.status if seen.reply else seen.words, seen.told)


def where(file: IO[bytes]) -> str:
    """A file of the operating system has a name, be it a number; one in memory has none."""
    return f"{type(file).__name__}: {'memory' if getattr(file, 'name', None) is None else 'a file'}"


async def aiohttp_file(request: web.Request) -> Any:
    field = (await request.post())["file"]
    if not isinstance(field, web.FileField):
        raise web.HTTPBadRequest(text="no file")
    return [where(field.file), field.filename]


async def quart_file() -> Any:
    file = (await request.files)["file"]
    return [where(file.stream), file.filename]


UPLOAD = readers(aiohttp_file, quart_file, client_max_size=8 * 2**20)


def _upload(application: Build, size: int, name: str) -> tuple[str, str]:
    """The kind of file, and its name as the handler sees it. Raises ValueError."""
    form = _multipart(_part("file", bytes(size), name))
    reply = reply_to(application(), post("/", *form))
    if reply.status != 200:
        raise ValueError(f"{reply.status}: {reply.text[:80]}")
    kind, filename = json.loads(reply.body)
    return kind, filename


@experiments("file-upload", UPLOAD, {"400 kB": 400_000, "800 kB": 800_000, "5 MB": 5_000_000})
def ask_place(application: Build, size: int) -> Answer:
    kind, _ = _upload(application, size, "x.txt")
    return Answer(kind.partition(": ")[2], f"{size} bytes were in a {kind}")


@experiments("file-upload", UPLOAD, ("filename=../../etc/x.txt",))
def ask_name(application: Build, setting: str) -> Answer:
    sent = setting.partition("=")[2]
    _, name = _upload(application, 3, sent)
    return Answer(f"the name is {name!r}", f"sent as {sent!r}, seen as {name!r}")


READ_AND_ANSWERED = readers(lambda request: request.json(), lambda: request.get_json())
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

    return aiohttp_reader(read)


def quart_answering(silent: bool = False) -> Quart:
    async def read() -> bytes:
        return f"read as {await request.get_json(silent=silent)!r}".encode()

    return quart_reader(read)


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
    seen = exchanged(application(), post("/", "application/json", body))
    read = f", {seen.reply.text}" if seen.reply and seen.reply.status == 200 else ""
    return Answer(f"{seen.status}{read}", seen.told)


def aiohttp_checking() -> web.Application:
    async def read(request: web.Request) -> Any:
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        return await request.json()

    return aiohttp_reader(read)


TYPES = ("text/plain", "no Content-Type", "application/problem+json")
CHECKED = "text/plain, request.content_type checked"
FORCED = "text/plain, get_json(force=True)"
FORCING = partial(quart_reader, lambda: request.get_json(force=True))


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
    app = quart_reader(lambda: VALUE)
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
