"""Connections: how long they live, for how many requests, one after another or at once, half asked,
idle, of HTTP/1.0 or HTTP/2."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp import web

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, ANSWERING, QUART, Build, Work, serve
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments
from loopbench.loadtests.behaviour.framework import http2_client
from loopbench.loadtests.behaviour.many.handlers import Talk, on_one_connection
from loopbench.loadtests.behaviour.parsing.scene import FOLLOWING, PLAIN, aiohttp_reader
from loopbench.loadtests.behaviour.talking import NoAnswer, Wire, as_seen, head, seen

ON_AIOHTTP, ON_QUART = PLAIN[AIOHTTP], PLAIN[QUART]
EVERY_S = 0.25
SLOW_S = 0.5
ENDS_S = 4.0
LONG_S = 80.0
MOST = 1100
SECOND, SILENT, CANCELS = "second request", "nothing ever sent", "handler_cancellation=True"
DRIPPING = f"a byte every {EVERY_S:g} s"
HALF = b"GET / HTTP/1.1\r\nHost: local"
half_sent = partial(experiment, "half-sent-head", begun=HALF, asks=False)
idle = partial(experiment, "idle-connection", asks=True)
several = partial(experiment, "requests-a-connection")


def _closes(wire: Wire, patience_s: float, drips: bool) -> tuple[float, bytes] | None:
    """Seconds until the server closes, and what it says then; None where it does not in time.

    drips: a byte is sent every EVERY_S meanwhile.
    """
    began = time.perf_counter()
    while (left_s := began + patience_s - time.perf_counter()) > 0:
        try:
            response = wire.rest(EVERY_S if drips else left_s)
            return time.perf_counter() - began, response
        except NoAnswer:
            if drips:
                with suppress(ConnectionError):  # the server closed just now
                    wire.send(b"x")
    return None


def given_up(
    port: int, asks: bool, patience_s: float = 12.0, begun: bytes = b"", drips: bool = False
) -> Answer:
    """When the server closes a connection, and with what.

    asks: a whole request is answered before. begun: the first bytes of the next one. drips: more
    of it comes, a byte at a time, for longer than the timeout.
    """
    with Wire(port) as wire:
        if asks:
            wire.ask("GET", "/")
        wire.send(begun)
        closed = _closes(wire, patience_s, drips)
    if closed is None:
        return Answer(f"open after {patience_s:g} s", "no answer, and it was not closed")
    took_s, response = closed
    status = response.split(b" ")[1].decode() if response else "without an answer"
    words = [f"closed after {took_s:.0f} s", *([status] if begun else [])]
    return Answer(", ".join(words), f"closed after {took_s:.2f} s, {response!r}")


@half_sent(AIOHTTP, DEFAULT, ON_AIOHTTP, patience_s=30.0, bound_s=50, waits=True)
@half_sent(AIOHTTP, "keepalive_timeout=1", ON_AIOHTTP, keepalive_timeout=1)
@half_sent(AIOHTTP, f"keepalive_timeout=1, {SECOND}", ON_AIOHTTP, asks=True, keepalive_timeout=1)
@half_sent(QUART, DEFAULT, ON_QUART)
@half_sent(QUART, "keep_alive_timeout=1", ON_QUART, keep_alive_timeout=1)
@half_sent(QUART, f"keep_alive_timeout=1, {SECOND}", ON_QUART, asks=True, keep_alive_timeout=1)
@half_sent(AIOHTTP, f"keepalive_timeout=1, {DRIPPING}", ON_AIOHTTP, drips=True, keepalive_timeout=1)
@half_sent(QUART, f"keep_alive_timeout=1, {DRIPPING}", ON_QUART, drips=True, keep_alive_timeout=1)
@idle(AIOHTTP, DEFAULT, ON_AIOHTTP, patience_s=LONG_S, bound_s=100, waits=True)
@idle(AIOHTTP, "keepalive_timeout=1", ON_AIOHTTP, keepalive_timeout=1)
@idle(AIOHTTP, f"keepalive_timeout=1, {SILENT}", ON_AIOHTTP, asks=False, keepalive_timeout=1)
@idle(QUART, DEFAULT, ON_QUART)
@idle(QUART, SILENT, ON_QUART, asks=False)
@idle(QUART, "keep_alive_timeout=1", ON_QUART, keep_alive_timeout=1)
def ask_given_up(
    application: Build,
    asks: bool,
    patience_s: float = 12.0,
    begun: bytes = b"",
    drips: bool = False,
    **options: Any,
) -> Answer:
    with serve(application(), **options) as server:
        return given_up(server.port, asks, patience_s, begun, drips)


@experiment("idle-connection", AIOHTTP, "web.run_app", bound_s=100, waits=True)
def ask_idle_of_run_app() -> Answer:
    """`web.run_app` takes the main thread, so that the client has another."""

    def client(port: int) -> Answer:
        try:
            return given_up(port, True, LONG_S)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as threads:
        answer = threads.submit(client, listening.getsockname()[1])
        web.run_app(aiohttp_reader(), sock=listening, print=None)
    return answer.result()


@experiments("requests-a-connection", PLAIN)
@several(QUART, "keep_alive_max_requests=3", ON_QUART, keep_alive_max_requests=3)
@several(QUART, "keep_alive_max_requests=10**9", ON_QUART, keep_alive_max_requests=10**9)
def ask_many(application: Build, **options: Any) -> Answer:
    with serve(application(), **options) as server, Wire(server.port) as wire:
        for number in range(1, MOST + 1):
            wire.send(FOLLOWING)
            if wire.answer().header("connection") == "close":
                closed = wire.closed()
                after = "still open 10 s" if closed is None else f"closed {closed:.2f} s"
                return Answer(f"{number}", f"answer {number} said Connection: close; {after} later")
    return Answer(f"{MOST} and more", f"{MOST} answers on one connection, none said close")


async def streamed() -> AsyncIterator[bytes]:
    for piece in (b"hel", b"lo"):
        yield piece


HELLO: dict[str, Work] = {"/": apps.hello, "/streamed": streamed}
HOST, KEEP = "Host: localhost", "Connection: keep-alive"
OLD_REQUESTS = {
    "GET": ("/", HOST),
    "GET without Host": ("/",),
    "GET with Connection: keep-alive": ("/", HOST, KEEP),
    "a streamed answer": ("/streamed", HOST),
    "a streamed answer, Connection: keep-alive": ("/streamed", HOST, KEEP),
}


@experiments("http-1-0", ANSWERING, OLD_REQUESTS)
def ask_old(application: Build, request: tuple[str, ...]) -> Answer:
    """request: target and headers of a request of HTTP/1.0."""
    target, *lines = request
    with serve(application(HELLO)) as server, Wire(server.port) as wire:
        wire.send("\r\n".join([f"GET {target} HTTP/1.0", *lines, "", ""]).encode())
        try:
            reply = wire.answer(ENDS_S)
        except NoAnswer as error:
            return Answer("no end of the body, stays open", f"{ENDS_S:g} s after it: {error}")
        if wire.closed(1.0) is None:
            wire.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            fate = f"stays open, the next is {wire.answer().status}"
        else:
            fate = "then closes"
    framing = "chunked" if reply.header("transfer-encoding") else "as it is"
    whole = "whole" if reply.text == "hello" else f"as {reply.text!r}"
    headers = ", ".join(f"{name}: {value}" for name, value in reply.headers if name != "date")
    evidence = f"{reply.status} with {headers}; the body came {whole}; {fate}"
    if target == "/streamed" and reply.status == 200:
        return Answer(f"{reply.status}, the body {framing}, {fate}", evidence)
    return Answer(f"{reply.status}, {fate}", evidence)


@experiments("http2-cleartext", PLAIN, {"prior knowledge": False, "Upgrade: h2c": True})
def ask_http2(application: Build, upgrades: bool) -> Answer:
    """Speak HTTP/2 at once, or ask over HTTP/1 for leave to."""
    client = http2_client.Client()
    with serve(application()) as server, Wire(server.port) as wire:
        if upgrades:
            settings = f"HTTP2-Settings: {(client.initiate_upgrade_connection() or b'').decode()}"
            asked = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", settings)
            wire.send(head("GET", "/", *asked))
            received = wire.head()
        else:
            client.initiate_connection()
            http2_client.ask(client, "/")
        if not upgrades or received.split()[1] == b"101":
            wire.send(client.data_to_send())
            received = wire.some()
        try:
            ((status, body),) = http2_client.finish(wire, client, 1, received)
        except NoAnswer as error:
            return Answer(f"{str(error).split()[1]} over HTTP/1", f"the answer began {error}")
    return Answer(f"{status} over HTTP/2", f"status {status} and {body!r} on stream 1")


async def slow() -> None:
    seen("slow began")
    await asyncio.sleep(SLOW_S)
    seen("slow ended")


FAST = apps.asynchronous(partial(seen, "fast began"))
SLOW_AND_FAST: dict[str, Work] = {"/slow": slow, "/fast": FAST}


@experiments("pipelining", ANSWERING, (), http2_client.pipelined)
@experiment("pipelining", QUART, "two streams of HTTP/2", ANSWERING[QUART], http2_client.in_streams)
def ask_together(application: Build, talk: Talk) -> Answer:
    """The experiment of many.same-connection, with two requests."""
    most, answers = on_one_connection(application, talk, 2)
    answered = "in order" if answers == sorted(answers) else "out of order"
    handled = "one after the other" if most == 1 else "at once"
    evidence = (
        f"at most {most} of 2 were in their handlers at the same time; answers came as {answers}"
    )
    return Answer(f"answered {answered}, handled {handled}", evidence)


@experiments("pipelined-leaving", ANSWERING)
@experiment("pipelined-leaving", AIOHTTP, CANCELS, ANSWERING[AIOHTTP], handler_cancellation=True)
def ask_pipelined_leaving(application: Build, **options: bool) -> Answer:
    """Send two requests, leave while the first is handled, and see what becomes of both."""
    with serve(application(SLOW_AND_FAST), **options) as server:
        with Wire(server.port) as wire:
            wire.send(head("GET", "/slow") + head("GET", "/fast"))
            seen.wait("slow began")
        seen.wait("fast began", 2 * SLOW_S)
    first = "finished" if "slow ended" in seen else "cancelled"
    second = "handled" if "fast began" in seen else "not handled"
    return as_seen(f"the first is {first}, the second {second}")
