"""A form in which a key comes twice."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart, jsonify, request
from quart import Response as QuartResponse

from loopbench.loadtests.behaviour.framework.question import Agrees, Answer, Claim, Question
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import Serve, both, post, reply_to

MULTIPART = b"".join(
    b'--mark\r\nContent-Disposition: form-data; name="a"\r\n\r\n%d\r\n' % value for value in (1, 2)
)
FORMS = {
    "URL-encoded": ("application/x-www-form-urlencoded", b"a=1&a=2"),
    "multipart": ("multipart/form-data; boundary=mark", MULTIPART + b"--mark--\r\n"),
}


def on_aiohttp() -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        form = await request.post()
        seen = {"by name": form["a"], "all": form.getall("a"), "as a dict": dict(form)["a"]}
        return web.json_response(seen)

    app = web.Application()
    app.router.add_post("/", handler)
    return aiohttp_server(app)


def on_quart() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> QuartResponse:
        form = await request.form
        seen = {"by name": form["a"], "all": form.getlist("a"), "as a dict": dict(form)["a"]}
        return jsonify(seen)

    return hypercorn_server(app)


def ask(serve: Serve, form: str) -> Answer:
    content_type, body = FORMS[form]
    with serve() as server:
        seen = json.loads(reply_to(server.port, post("/", content_type, body)).body)
    which = {"1": "the first", "2": "the last"}
    as_dict = seen["as a dict"]
    dict_gives = which[as_dict] if isinstance(as_dict, str) else f"a list of {len(as_dict)}"
    told = ", ".join(f"{how}: {value}" for how, value in seen.items())
    return Answer(
        f"by name {which[seen['by name']]}, in a dict {dict_gives}", f"a=1 and a=2; {told}"
    )


SERVERS = {"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}

QUESTION = Question(
    asks="Which value has a form's key that comes twice?",
    experiments=tuple(
        experiment for form in FORMS for experiment in both(form, ask, form, servers=SERVERS)
    ),
    claims=(
        Claim(
            "`form['key']` is the first value.",
            {"by name the first*": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "*in a dict a list*": "`dict(form)` turns every value into a list; take `form.to_dict()` "
        "for the first of each, `getlist` for all.",
        "*in a dict the last": "`dict(form)` and a look-up by name disagree; take `getall`.",
    },
)
