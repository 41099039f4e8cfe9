"""A file in a multipart form: where it lives meanwhile."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import IO

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import Agrees, Answer, Claim, Question
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import Serve, both, post, reply_to

HEAD = b'--mark\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n'
END = b"\r\n--mark--\r\n"


def where(file: IO[bytes]) -> str:
    """A file of the operating system has a name, be it a number; one in memory has none."""
    return f"{type(file).__name__}: {'memory' if getattr(file, 'name', None) is None else 'a file'}"


def on_aiohttp() -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        field = (await request.post())["file"]
        if not isinstance(field, web.FileField):
            raise web.HTTPBadRequest(text="no file")
        return web.Response(text=f"{where(field.file)}\n{field.filename}")

    app = web.Application(client_max_size=8 * 2**20)
    app.router.add_post("/", handler)
    return aiohttp_server(app)


def on_quart() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> str:
        file = (await request.files)["file"]
        return f"{where(file.stream)}\n{file.filename}"

    return hypercorn_server(app)


def _upload(serve: Serve, size: int, name: bytes = b"x.txt") -> tuple[str, str]:
    """The kind of file, and its name as the handler sees it. Raises ValueError."""
    body = HEAD % name + bytes(size) + END
    with serve() as server:
        reply = reply_to(server.port, post("/", "multipart/form-data; boundary=mark", body))
    kind, newline, filename = reply.text.partition("\n")
    if not newline or reply.status != 200:
        raise ValueError(f"{reply.status}: {reply.text[:80]}")
    return kind, filename


def ask(serve: Serve, size: int) -> Answer:
    kind, _ = _upload(serve, size)
    return Answer(kind.partition(": ")[2], f"{size} bytes were in a {kind}")


def ask_name(serve: Serve) -> Answer:
    _, name = _upload(serve, 3, b"../../etc/x.txt")
    return Answer(f"the name is {name!r}", f"sent as '../../etc/x.txt', seen as {name!r}")


SERVERS = {"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}
SIZES = {"400 kB": 400_000, "800 kB": 800_000, "5 MB": 5_000_000}

QUESTION = Question(
    asks="Where does an uploaded file live while the handler runs, and under which name?",
    experiments=(
        *(
            experiment
            for setting, size in SIZES.items()
            for experiment in both(setting, ask, size, servers=SERVERS)
        ),
        *both("filename=../../etc/x.txt", ask_name, servers=SERVERS),
    ),
    claims=(
        Claim(
            "An uploaded file is always a temporary file on disk.",
            {"memory": Agrees.NO, "a file": Agrees.YES},
            ("aiohttp",),
        ),
        Claim(
            "Uploads beyond 500 kB go to a temporary file.",
            {"a file": Agrees.YES},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "memory": "So many uploads at once are so much memory.",
        "a file": "Reading it blocks the loop, shortly: read large ones in a thread.",
        "the name is *..*": "The client's name comes as it was sent: never join it to a path; "
        "`werkzeug.utils.secure_filename` cleans it, a name of your own is better.",
    },
)
