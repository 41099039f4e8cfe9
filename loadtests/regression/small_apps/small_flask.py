"""With Flask."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask, Response, request

app = Flask(__name__, static_folder=None)


@app.get("/whole")
def whole() -> str:
    return "abcd"


@app.get("/pieces")
def pieces() -> Response:
    def parts() -> Iterator[bytes]:
        yield b"ab"
        yield b"cd"

    return Response(parts(), headers={"Content-Length": "4"})


@app.post("/body")
def body() -> str:
    request.get_data(parse_form_data=False)
    return "abcd"


@app.post("/form")
def form() -> str:
    assert request.form is not None  # which reads it
    return "abcd"
