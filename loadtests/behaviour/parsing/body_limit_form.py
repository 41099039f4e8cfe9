"""What bounds a form beside the limit of the body."""

from __future__ import annotations

from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import Answer, Question
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import Serve, both, exchange, post

URL_ENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=mark"


def _part(name: str, value: bytes, filename: str = "") -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    described = f'--mark\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return described.encode() + value + b"\r\n"


def _multipart(*parts: bytes) -> tuple[str, bytes]:
    return MULTIPART, b"".join(parts) + b"--mark--\r\n"


FORMS = {
    "multipart, a field of 600,000 bytes": _multipart(_part("a", bytes(600_000))),
    "multipart, 4 fields of 400,000 bytes": _multipart(
        *(_part(f"a{number}", bytes(400_000)) for number in range(4))
    ),
    "multipart, a file of 2 MiB": _multipart(_part("a", bytes(2**21), "f")),
    "multipart, 1,001 fields": _multipart(*(_part(f"a{number}", b"") for number in range(1001))),
    "URL-encoded, a field of 600,000 bytes": (URL_ENCODED, b"a=" + 600_000 * b"x"),
    "URL-encoded, 1,001 fields": (URL_ENCODED, b"&".join(b"a%d=" % n for n in range(1001))),
}


def on_aiohttp() -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{len(await request.post())} fields and files")

    app = web.Application()
    app.router.add_post("/", handler)
    return aiohttp_server(app)


def on_quart() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> str:
        return f"{len(await request.form) + len(await request.files)} fields and files"

    return hypercorn_server(app)


def ask(serve: Serve, form: str) -> Answer:
    with serve() as server:
        seen = exchange(server.port, post("/", *FORMS[form]))
    return Answer(seen.words if not seen.reply else f"{seen.reply.status}", seen.told)


QUESTION = Question(
    asks="What bounds a form, beside the limit of the body?",
    experiments=tuple(
        experiment
        for form in FORMS
        for experiment in both(
            form, ask, form, servers={"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}
        )
    ),
    follows={
        "413": "aiohttp: `client_max_size` and `client_max_fields` of the Application; Quart: "
        "`MAX_FORM_MEMORY_SIZE` (a field) and `MAX_FORM_PARTS`, for multipart forms alone.",
    },
)
