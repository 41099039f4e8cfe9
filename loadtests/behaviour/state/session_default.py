"""A session between requests, as it is without any set-up, and with a key."""

from __future__ import annotations

import base64
from contextlib import suppress

from aiohttp import web
from quart import Quart, session

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    NONE,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import hypercorn_server


def on_quart(secret_key: str | None = None) -> Answer:
    app = Quart(__name__)
    app.secret_key = secret_key

    @app.get("/store")
    async def store() -> str:
        session["user"] = "Ada"
        return ""

    @app.get("/look")
    async def look() -> str:
        return str(session.get("user", "nothing"))

    with hypercorn_server(app) as server, Wire(server.port) as wire:
        wire.request("GET", "/store")
        stored = wire.answer()
        cookie = (stored.header("set-cookie") or "").partition(";")[0]
        with Wire(server.port) as other:
            other.request("GET", "/look", [("Cookie", cookie)] if cookie else [])
            found = other.answer().text
            forged = _forged(cookie)
            other.request("GET", "/look", [("Cookie", forged)] if cookie else [])
            found_forged = other.answer().text
    words = [f"{stored.status}", "kept in a cookie" if found == "Ada" else "not kept"]
    if cookie:
        words.append("the client can read it" if "Ada" in _read(cookie) else "unreadable")
        words.append("and change it" if found_forged == "Eve" else "but not change it")
    return Answer(
        ", ".join(words),
        f"storing gave {stored.status} and a cookie of {len(cookie)} characters; the next request "
        f"found {found}, with Eve in place of Ada {found_forged}",
    )


def _read(cookie: str) -> str:
    """What anybody can read in it, without a key."""
    text = cookie.partition("=")[2].partition(".")[0]
    with suppress(ValueError):
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode(errors="replace")
    return ""


def _forged(cookie: str) -> str:
    """The same signature under another content."""
    name, _, value = cookie.partition("=")
    other = base64.urlsafe_b64encode(b'{"user":"Eve"}').decode().rstrip("=")
    return f"{name}={other}.{value.partition('.')[2]}"


def on_aiohttp() -> Answer:
    """Whether aiohttp brings one along."""
    has = [name for name in ("session", "Session", "get_session") if hasattr(web, name)]
    if has:
        return Answer(f"there is {', '.join(has)}", f"aiohttp.web has {', '.join(has)}")
    return Answer(
        NONE, "aiohttp.web has no session; the nearest thing is the package aiohttp-session"
    )


QUESTION = Question(
    asks="Is there a session, where is it kept, and who can read it?",
    experiments=(
        Experiment("aiohttp", DEFAULT, on_aiohttp),
        Experiment("quart-hypercorn", DEFAULT, on_quart),
        Experiment("quart-hypercorn", "app.secret_key", lambda: on_quart("not a secret")),
    ),
    claims=(
        Claim(
            "The session is encrypted with the secret key.",
            {
                "*the client can read it*": Agrees.NO,
                "*unreadable*": Agrees.YES,
            },
            ("quart-hypercorn",),
        ),
    ),
    follows={
        NONE: "Add a package for it, or keep an identifier in a signed cookie yourself.",
        "500*": "Set `app.secret_key` before anything is stored; reading an empty session works "
        "without.",
        "*the client can read it*": "It is signed, not encrypted: keep no secret in it, and keep "
        "it small, since it travels with every request.",
    },
)
