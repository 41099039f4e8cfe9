"""Heads of requests that are wrong, too long or contradict themselves; and those of answers."""

import logging
import re
from functools import partial
from typing import Any

from aiohttp import web

from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, Adds, Build, adding
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments, variants
from loopbench.loadtests.behaviour.framework.events import logged
from loopbench.loadtests.behaviour.parsing.scene import PLAIN, exchanged, outcome
from loopbench.loadtests.behaviour.talking import head, reply_of

CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"
REST = b"\r\nHost: localhost\r\n\r\n"
REQUEST_LINES = {
    "no HTTP at all": b"hello\r\n\r\n",
    "the first bytes of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + 64 * b"\x01",
    "no version": b"GET /" + REST,
    "two blanks": b"GET  / HTTP/1.1" + REST,
    "HTTP/1.2": b"GET / HTTP/1.2" + REST,
    "an empty line before it": b"\r\nGET / HTTP/1.1" + REST,
    "LF alone": b"GET / HTTP/1.1\nHost: localhost\n\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
}


@experiments("bad-request-line", PLAIN, REQUEST_LINES)
def ask_bad_line(application: Build, request: bytes) -> Answer:
    errors = logged(logging.WARNING)
    got = exchanged(application(), request)
    log_entries = ", ".join(f"{record.name} logged an {record.levelname}" for record in errors)
    how = ", logged" if errors else ""
    return Answer(f"{got.words}{how}", f"{got.in_words}; {log_entries or 'nothing was logged'}")


def post(body: bytes, *lines: str) -> bytes:
    """A POST with these headers."""
    return head("POST", "/", *lines) + body


CONTRADICTIONS = {
    "Content-Length twice, equal": post(b"abc", "Content-Length: 3", "Content-Length: 3"),
    "Content-Length: 3, 3": post(b"abc", "Content-Length: 3, 3"),
    "Content-Length twice, different": post(b"abcd", "Content-Length: 3", "Content-Length: 4"),
    "Content-Length and chunked": post(CHUNKS, "Content-Length: 3", "Transfer-Encoding: chunked"),
    "Content-Length: +3": post(b"abc", "Content-Length: +3"),
    "Transfer-Encoding: gzip, chunked": post(CHUNKS, "Transfer-Encoding: gzip, chunked"),
    "a blank before the colon": post(b"abc", "Content-Length : 3"),
}
CHUNKED = post(b"", "Transfer-Encoding: chunked")
FRAMINGS = {
    "Content-Length: -1": post(b"", "Content-Length: -1"),
    "Content-Length without a value": post(b"", "Content-Length:"),
    "Content-Length: 0x3": post(b"abc", "Content-Length: 0x3"),
    "Content-Length: 1_0": post(b"0123456789", "Content-Length: 1_0"),
    "Transfer-Encoding: identity": post(b"", "Transfer-Encoding: identity"),
    "Transfer-Encoding: chunked, chunked": post(CHUNKS, "Transfer-Encoding: chunked, chunked"),
    "Transfer-Encoding: xchunked": post(CHUNKS, "Transfer-Encoding: xchunked"),
    "Transfer-Encoding: chunked in HTTP/1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKS,
    "a chunk of size +3": CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n",
    "a chunk of size 0x3": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk of size -3": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "a chunk of size 3 with an extension": CHUNKED + b"3;name=value\r\nabc\r\n0\r\n\r\n",
    "a chunk whose size ends with LF": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "a chunk whose data ends with LF": CHUNKED + b"3\r\nabc\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "a trailer after the last chunk": CHUNKED + b"3\r\nabc\r\n0\r\nX: 1\r\n\r\n",
    "Content-Length in a trailer": CHUNKED + b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",
    "a header folded over two lines": head("GET", "/", "X: 1", " 2"),
    "a first header that begins with a blank": head("GET", "/").replace(b"Host", b" Host"),
    "a header without a colon": head("GET", "/", "X"),
    "a header without a name": head("GET", "/", ": x"),
    "a blank in a header's name": head("GET", "/", "X Y: 1"),
    "NUL in a header's value": head("GET", "/", "X: a\0b"),
    "CR alone in a header's value": head("GET", "/", "X: a\rb"),
    "a header that ends with LF": head("GET", "/", "X: 1").replace(b"1\r\n", b"1\n"),
    "Host twice": head("GET", "/", "Host: other"),
    "Host with a path": head("GET", "/").replace(b"localhost", b"localhost/x"),
    "an absolute target with another host": head("GET", "http://other/"),
    "a target with a fragment": head("GET", "/#x"),
    "a target without a slash": head("GET", "x"),
    "a blank in the target": head("GET", "/?a b"),
    "HTTP/1.1 in lower case": head("GET", "/").replace(b"HTTP/", b"http/"),
    "a tab for a blank": head("GET", "/").replace(b"GET ", b"GET\t"),
}
"""Shapes that RFC 9110 and RFC 9112 forbid or leave to the reader: a proxy in front that reads
one of them in another way can be led to see two requests where the server sees one."""


def header_of(size: int) -> bytes:
    """A head with one header of so many bytes."""
    return head("GET", "/", f"X: {'x' * (size - 3)}")


LONG_HEADS = {f"a header of {size:,} bytes": header_of(size) for size in (8000, 9000, 40000, 70000)}
LONG_HEADS["200 headers"] = head("GET", "/", *(f"X{number}: x" for number in range(200)))
LONG_TARGETS = {
    f"{size:,} bytes": head("GET", f"/?a={'x' * (size - 4)}") for size in (8000, 9000, 70000)
}
HEADS, TARGETS = ("oversized-head", LONG_HEADS), ("oversized-target", LONG_TARGETS)
ALL = (("request-length", CONTRADICTIONS), ("framing", FRAMINGS), HEADS, TARGETS)
RAISED = (
    (HEADS, AIOHTTP, "a header of 40,000 bytes", "max_field_size", 65536),
    (HEADS, AIOHTTP, "200 headers", "max_headers", 300),
    (TARGETS, AIOHTTP, "9,000 bytes", "max_line_size", 65536),
    (TARGETS, QUART, "70,000 bytes", "h11_max_incomplete_size", 131072),
)
"""What is too long, and the limit of the server that is raised for it."""

for question, requests in ALL:
    experiments(question, PLAIN, requests)(outcome)
for (question, long), stack, setting, limit, value in RAISED:
    raised: dict[str, Any] = {limit: value}
    named = f"{setting}, {limit}={value}"
    experiment(question, stack, named, PLAIN[stack], long[setting], **raised)(outcome)
IN_TWO = "a header of 40,000 bytes in two pieces"
MORE_IN_TWO = f"{IN_TWO}, h11_max_incomplete_size=65536"
HELD: dict[str, Any] = {"h11_max_incomplete_size": 65536}
HALVES = header_of(40_000)[:20_000], header_of(40_000)[20_000:]

experiments("oversized-head", PLAIN, {IN_TWO: HALVES[0]}, HALVES[1])(outcome)
experiment("oversized-head", QUART, MORE_IN_TWO, PLAIN[QUART], *HALVES, **HELD)(outcome)


async def remove(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)


async def rename(*given: Any) -> Any:
    """For on_response_prepare and after_request, which are given the response last."""
    given[-1].headers["Server"] = "mine"
    return given[-1]


IN_HOOKS: Adds = {
    AIOHTTP: {
        "Server removed in on_response_prepare": lambda app: app.on_response_prepare.append(remove),
        "Server set in on_response_prepare": lambda app: app.on_response_prepare.append(rename),
    },
    QUART: {"Server set in after_request": lambda app: app.after_request(rename)},
}

of_quart = partial(experiment, "server-header", QUART)


@experiments("server-header", PLAIN)
@variants("server-header", adding(IN_HOOKS))
@of_quart("include_server_header=False", PLAIN[QUART], include_server_header=False)
@of_quart("include_date_header=False", PLAIN[QUART], include_date_header=False)
def ask_server(application: Build, **options: Any) -> Answer:
    reply = reply_of(application(), **options)
    names = [value for name, value in reply.headers if name == "server"]
    if len(names) > 1:
        return Answer(f"Server twice: {' and '.join(names)}", f"Server: {' and '.join(names)}")
    date = "Date" if reply.header("date") else "no Date"
    server_name = re.sub(r"\d+(\.\d+)+", "(version)", names[0]) if names else "nothing"
    return Answer(f"{server_name}, {date}", f"Server: {names}; Date: {reply.header('date')}")
