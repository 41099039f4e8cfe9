"""With Quart."""

from __future__ import annotations

from collections.abc import AsyncIterator

from quart import Quart, Response, request

app = Quart(__name__, static_folder=None)


@app.get("/whole")
async def whole() -> str:
    return "abcd"


@app.get("/pieces")
async def pieces() -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"

    return Response(parts(), headers={"Content-Length": "4"})


@app.post("/body")
async def body() -> str:
    await request.get_data(parse_form_data=False)
    return "abcd"


@app.post("/form")
async def form() -> str:
    await request.form
    return "abcd"
