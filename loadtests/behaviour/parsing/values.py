"""Queries and cookies: names that come twice, blanks, quotes, and escapes that are none."""

from __future__ import annotations

import json

from quart import request

from loopbench.loadtests.behaviour.asking import Answer, experiments
from loopbench.loadtests.behaviour.parsing.scene import head, readers, reply_to
from loopbench.loadtests.behaviour.serving import Build

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
