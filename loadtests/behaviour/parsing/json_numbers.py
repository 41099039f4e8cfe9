"""Numbers in JSON that are none, or too long."""

from __future__ import annotations

from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart, jsonify, request
from quart import Response as QuartResponse

from loopbench.loadtests.behaviour.framework.question import Answer, Question
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import Serve, both, post, reply_to

NUMBERS = {
    "NaN": b"NaN",
    "1e400": b"1e400",
    "9007199254740993": b"9007199254740993",
    "0.1 with 30 digits": b"0.1" + 29 * b"0" + b"1",
    "an integer of 4,301 digits": 4301 * b"1",
}


def on_aiohttp() -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(await request.json())

    app = web.Application()
    app.router.add_post("/", handler)
    return aiohttp_server(app)


def on_quart() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> QuartResponse:
        return jsonify(await request.get_json())

    return hypercorn_server(app)


def ask(serve: Serve, number: bytes) -> Answer:
    with serve() as server:
        reply = reply_to(server.port, post("/", "application/json", number))
    said = reply.text.strip()
    if reply.status != 200:
        return Answer(f"{reply.status}", f"{len(number)} characters were sent; {said[:60]!r}")
    kept = "the same" if said.encode() == number else said
    return Answer(f"answers {kept}", f"sent {number.decode()[:40]}, read and answered {said[:40]}")


QUESTION = Question(
    asks="What becomes of a number in JSON that is none, or too long?",
    experiments=tuple(
        experiment
        for setting, number in NUMBERS.items()
        for experiment in both(
            setting, ask, number, servers={"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}
        )
    ),
    follows={
        "answers the same": "Python's json reads and writes it as it is, NaN too; a browser reads "
        "integers beyond 2**53 as another number and refuses NaN.",
        "answers Infinity": "It came in as JSON and goes out as none. Check with math.isfinite.",
        "500": "`int` refuses more than 4,300 digits with a ValueError: catch it as bad JSON.",
    },
)
