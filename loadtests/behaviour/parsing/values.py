"""Queries, cookies, headers, forms and JSON: what comes twice, is blank, broken, or too much; and
the bytes of JSON in answers."""

import json
from functools import partial
from typing import IO, Any

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, Build
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments
from loopbench.loadtests.behaviour.parsing import scene
from loopbench.loadtests.behaviour.parsing.scene import exchanged, post, readers, reading
from loopbench.loadtests.behaviour.talking import Reply, head, reply_of

VALUE = {"b": 1, "a": "é"}
QUERIES = ("?a=1&a=2", "?a=&b", "?a=1+2", "?a=%zz", "?a=%FF", "?a=1;b=2", "?A=1&a=2")
QUERY = readers(
    aiohttp=lambda request: {"pairs": list(request.query.items()), "by name": request.query["a"]},
    quart=lambda: {"pairs": list(request.args.items(multi=True)), "by name": request.args["a"]},
)


@reading("query", QUERY, {query: head("GET", f"/{query}") for query in QUERIES})
def query(reply: Reply) -> Answer:
    report = json.loads(reply.body)
    pairs = ", ".join(f"{name}={value!r}" for name, value in report["pairs"])
    keys = [name for name, _ in report["pairs"]]
    by_name = f"; by name {report['by name']!r}" if keys.count("a") > 1 else ""
    return Answer(
        f"{pairs}{by_name}", f"the pairs were {pairs}, and a by name {report['by name']!r}"
    )


def with_lines(*settings: str) -> dict[str, bytes]:
    """Requests with these headers, several of them with an `and` between."""
    return {setting: head("GET", "/", *setting.split(" and ")) for setting in settings}


COOKIES = readers(
    aiohttp=lambda request: [dict(request.cookies), request.headers["Cookie"]],
    quart=lambda: [{**request.cookies}, request.headers["Cookie"]],
)
COOKIE_LINES = (
    "Cookie: a=1; a=2",
    "Cookie: a=1 and Cookie: b=2",
    'Cookie: a="x y"',
    "Cookie: a=x y",
    "Cookie: a=%41",
    "Cookie: b; a=1",
)


@reading("cookies", COOKIES, with_lines(*COOKIE_LINES))
def cookies(reply: Reply) -> Answer:
    received, sent = json.loads(reply.body)
    which = {"1": ", the first", "2": ", the last"}[received["a"]] if sent.count("a=") > 1 else ""
    words = (
        ", ".join(f"{name} is {value!r}" for name, value in sorted(received.items())) or "nothing"
    )
    return Answer(f"{words}{which}", f"the handler saw {words}")


HEADER = readers(
    aiohttp=lambda request: [request.headers.get("X"), request.headers.getall("X", [])],
    quart=lambda: [request.headers.get("X"), request.headers.getlist("X")],
)
HEADER_LINES = ("X: 1 and X: 2", "X:1", "X:  1  ", "X: é", "X:", "x: 1")


@reading("header-values", HEADER, with_lines(*HEADER_LINES))
def header_values(reply: Reply) -> Answer:
    by_name, all_of = json.loads(reply.body)
    return Answer(f"{by_name!r}, all: {all_of}", f"X by name was {by_name!r} of {all_of}")


def multipart(*parts: tuple[bytes, bytes], filename: bytes = b"") -> bytes:
    """The request that sends a form of these fields, or files where they have a name."""
    described = b'--mark\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    file = b'; filename="%s"' % filename if filename else b""
    body = b"".join(described % (name, file, value) for name, value in parts)
    return post("/", "multipart/form-data; boundary=mark", body + b"--mark--\r\n")


def url_encoded(*pairs: bytes) -> bytes:
    return post("/", "application/x-www-form-urlencoded", b"&".join(pairs))


async def aiohttp_repeated(request: web.Request) -> Any:
    form = await request.post()
    return {"by name": form["a"], "all": form.getall("a"), "as a dict": dict(form)["a"]}


async def quart_repeated() -> Any:
    form = await request.form
    return {"by name": form["a"], "all": form.getlist("a"), "as a dict": dict(form)["a"]}


FORM = readers(aiohttp_repeated, quart_repeated)
TWICE = {
    "URL-encoded": url_encoded(b"a=1", b"a=2"),
    "multipart": multipart((b"a", b"1"), (b"a", b"2")),
}


@reading("form-repeated-keys", FORM, TWICE)
def repeated(reply: Reply) -> Answer:
    report = json.loads(reply.body)
    which = {"1": "the first", "2": "the last"}
    as_dict = report["as a dict"]
    dict_gives = which[as_dict] if isinstance(as_dict, str) else f"a list of {len(as_dict)}"
    evidence = f"a=1 and a=2; {', '.join(f'{how}: {value}' for how, value in report.items())}"
    return Answer(f"by name {which[report['by name']]}, in a dict {dict_gives}", evidence)


async def aiohttp_count(request: web.Request) -> int:
    return len(await request.post())


async def quart_count() -> int:
    return len(await request.form) + len(await request.files)


LARGE = {
    "multipart, a field of 600,000 bytes": multipart((b"a", bytes(600_000))),
    "multipart, 4 fields of 400,000 bytes": multipart(
        *((b"a%d" % number, bytes(400_000)) for number in range(4))
    ),
    "multipart, a file of 2 MiB": multipart((b"a", bytes(2**21)), filename=b"f"),
    "multipart, 1,001 fields": multipart(*((b"a%d" % number, b"") for number in range(1001))),
    "URL-encoded, a field of 600,000 bytes": url_encoded(b"a=" + 600_000 * b"x"),
    "URL-encoded, 1,001 fields": url_encoded(*(b"a%d=" % number for number in range(1001))),
}


@reading("body-limit-form", readers(aiohttp_count, quart_count), LARGE)
def fields(reply: Reply) -> Answer:
    return Answer("200", f"the handler counted {reply.text.strip()}")


def where(file: IO[bytes]) -> str:
    """A file of the operating system has a name, be it a number; one in memory has none."""
    return f"{type(file).__name__}: {'memory' if getattr(file, 'name', None) is None else 'a file'}"


async def aiohttp_file(request: web.Request) -> Any:
    field: Any = (await request.post())["file"]
    return [where(field.file), field.filename]


async def quart_file() -> Any:
    file = (await request.files)["file"]
    return [where(file.stream), file.filename]


def upload(size: int, name: str = "x.txt") -> bytes:
    return multipart((b"file", bytes(size)), filename=name.encode())


UPLOAD = readers(aiohttp_file, quart_file, client_max_size=8 * 2**20)
FILES = {"400 kB": upload(400_000), "800 kB": upload(800_000), "5 MB": upload(5_000_000)}
ELSEWHERE = "../../etc/x.txt"


@reading("file-upload", UPLOAD, FILES)
def place(reply: Reply) -> Answer:
    kind, _ = json.loads(reply.body)
    return Answer(kind.partition(": ")[2], f"the handler had a {kind}")


@reading("file-upload", UPLOAD, {f"filename={ELSEWHERE}": upload(3, ELSEWHERE)})
def name(reply: Reply) -> Answer:
    _, filename = json.loads(reply.body)
    return Answer(f"the name is {filename!r}", f"sent as {ELSEWHERE!r}, seen as {filename!r}")


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
    got = exchanged(application(), post("/", "application/json", number))
    if got.reply is None or got.reply.status != 200:
        return Answer(got.status, f"{len(number)} characters were sent; {got.in_words}")
    text = got.reply.text.strip()
    kept = "the same" if text.encode() == number else text
    return Answer(f"answers {kept}", f"sent {number.decode()[:40]}, read and answered {text[:40]}")


def aiohttp_catching(*catch: type[Exception]) -> web.Application:
    async def read(request: web.Request) -> Any:
        try:
            return await request.json()
        except catch as error:
            raise web.HTTPBadRequest(text=f"not JSON: {error}") from error

    return scene.aiohttp_reader(read)


async def quart_read(silent: bool = False) -> bytes:
    return f"read as {await request.get_json(silent=silent)!r}".encode()


def bad(way: str = "") -> dict[str, bytes]:
    """Requests with bodies that are no JSON, by the setting under which they are read that way."""
    bodies = {"broken body": b'{"a":', "empty body": b"", "not UTF-8 body": b'{"a": "\xff"}'}
    named = {f"{name}, {way}" if way else name: body for name, body in bodies.items()}
    sent = {name: post("/", "application/json", body) for name, body in named.items()}
    return {DEFAULT if name == "broken body" else name: data for name, data in sent.items()}


CATCHING = {AIOHTTP: partial(aiohttp_catching, json.JSONDecodeError)}
CATCHING_MORE = {AIOHTTP: partial(aiohttp_catching, ValueError)}
SILENT = {QUART: partial(scene.quart_reader, partial(quart_read, silent=True))}


@reading("json-bad", {AIOHTTP: aiohttp_catching}, bad())
@reading("json-bad", CATCHING, bad("except json.JSONDecodeError"))
@reading("json-bad", CATCHING_MORE, bad("except ValueError"))
@reading("json-bad", {QUART: partial(scene.quart_reader, quart_read)}, bad())
@reading("json-bad", SILENT, bad("get_json(silent=True)"))
def read_all_the_same(reply: Reply) -> Answer:
    return Answer(f"200, {reply.text}", f"it was {reply.text}")


async def checked(request: web.Request) -> Any:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    return await request.json()


LATIN = "application/json; charset=latin-1"
TYPED = {
    name: post("/", "" if name == "no Content-Type" else name, '{"é": 1}'.encode())
    for name in ("text/plain", "no Content-Type", "application/problem+json", LATIN)
}
CHECKED = {"text/plain, request.content_type checked": TYPED["text/plain"]}
FORCED = {"text/plain, get_json(force=True)": TYPED["text/plain"]}
FORCING = partial(scene.quart_reader, lambda: request.get_json(force=True))


@reading("json-wrong-type", READ_AND_ANSWERED, TYPED)
@reading("json-wrong-type", {AIOHTTP: partial(scene.aiohttp_reader, checked)}, CHECKED)
@reading("json-wrong-type", {QUART: FORCING}, FORCED)
def of_type(reply: Reply) -> Answer:
    read = json.loads(reply.body)
    words = "None" if read is None else f"read as {read}"
    return Answer("read" if read == {"é": 1} else words, f"the object of UTF-8 was read as {read}")


def aiohttp_dumping(dumps: Any = json.dumps) -> web.Application:
    return apps.answering(apps.asynchronous(lambda: web.json_response(VALUE, dumps=dumps)))


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
@dumping("dumps=partial(json.dumps, separators=(',', ':'))", aiohttp_dumping, dumps=COMPACT)
@dumping("dumps=partial(json.dumps, ensure_ascii=False)", aiohttp_dumping, dumps=UNESCAPED)
@jsonifying(DEFAULT, quart_jsonifying)
@jsonifying("debug=True", quart_jsonifying, debug=True)
@jsonifying("app.json.sort_keys=False", quart_jsonifying, sort_keys=False)
@jsonifying("app.json.compact=False", quart_jsonifying, compact=False)
@jsonifying("app.json.ensure_ascii=False", quart_jsonifying, ensure_ascii=False)
def ask_format(application: Build, **options: Any) -> Answer:
    reply = reply_of(application(**options))
    content_type = reply.header("content-type") or "no Content-Type"
    charset = "charset" if "charset=" in content_type else "no charset"
    newline = ", then a newline" if reply.text.endswith("\n") else ""
    in_lines = "\n" in reply.text.strip()
    text = " ".join(reply.text.split()) if in_lines else reply.text.strip()
    lines = ", in lines" if in_lines else ""
    return Answer(f"{text}{lines}{newline}, {charset}", f"{reply.body!r} as {content_type}")
