"""Every stack keeps every promise of the contract, and runs with the same settings."""

from __future__ import annotations

import fnmatch
import json
import logging
import os
import re
import socket

import psutil
import pytest

from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.http import Case, Expected, Request
from loopbench.servers.contract.routes import ROUTES, Route, routes_listing
from loopbench.servers.contract.websockets import EXCHANGES
from loopbench.servers.handlers import basic
from loopbench.servers.lifecycle.in_loop import Server
from loopbench.servers.promises import holes, keeps, keeps_exchanges
from loopbench.servers.stacks import STACKS
from tests.servers.choices import KINDS, ON_A_LOOP, stacks, stays_open
from tests.servers.conftest import Lab
from tests.servers.contract import wire
from tests.servers.contract.claims import claims


def test_cases(lab: Lab, server: Server) -> None:
    """Each answer is exactly what the contract demands: status, headers and body."""
    with claims() as claimed:
        for case in keeps(server.stack).values():
            with claimed.of(case.name):
                reply = lab.run(wire.ask(server, case.request))

                assert case.expected.check(reply.status, reply.body) is None
                assert reply.header("content-type") == case.expected.content_type
                assert reply.header("allow") == case.expected.allow
                if (
                    case.expected.chunked and case.expected.body
                ):  # an empty one may be given as such
                    assert reply.header("transfer-encoding") == "chunked"
                elif case.request.method != "HEAD" and not case.expected.chunked:
                    assert reply.header("content-length") == str(len(reply.body))


# What becomes of a connection after a 413 is a row of docs/differences.md.
@pytest.mark.parametrize("stack_name", stacks(KINDS))
def test_cases_again_on_the_same_connection(lab: Lab, server: Server) -> None:
    """The connection stays open and serves the next request as it served the first."""

    async def twice(case: Case) -> None:
        async with wire.connection(server) as client:
            reply = await client.ask(case.request)
            assert case.expected.check(reply.status, reply.body) is None
            if not stays_open(server.stack, case):
                assert await client.closed()
                return
            reply = await client.ask(case.request)
            assert case.expected.check(reply.status, reply.body) is None

    with claims() as claimed:
        for case in keeps(server.stack).values():
            if case.expected.status != 413:
                with claimed.of(case.name):
                    lab.run(twice(case))


@pytest.mark.parametrize("stack_name", stacks(KINDS))
def test_head(lab: Lab, server: Server) -> None:
    """HEAD answers what GET does, with the length of the body in place of the body."""

    def ask(method: str, route: Route) -> wire.Reply:
        target = route.path.format(name="x") + "?wait_ms=0"
        return lab.run(wire.ask(server, Request(method, target)))

    with claims() as claimed:
        for route in ROUTES:
            if route.method != "GET":
                continue
            with claimed.of(route.name):
                get, head, after = ask("GET", route), ask("HEAD", route), ask("GET", route)
                if len(get.body) != len(after.body):  # a thread's number has a digit more
                    get, head, after = after, ask("HEAD", route), ask("GET", route)

                assert len(get.body) == len(after.body)
                assert head.status == get.status
                assert head.body == b""
                for name in ("content-type", "content-length"):
                    assert head.header(name) == get.header(name)


def test_routes_cover_the_contract(lab: Lab, server: Server) -> None:
    """The framework's own router holds exactly the routes of the contract."""
    assert json.loads(lab.run(wire.get(server, "/routes")).body) == routes_listing()


def test_holes_are_cases_and_few() -> None:
    """What a stack cannot keep is named as the contract names it, with a reason."""
    for stack in STACKS.values():
        lacks = holes(stack)
        for pattern, why in stack.holes.items():
            assert why
            named = fnmatch.filter((*CASES, *EXCHANGES), pattern)
            assert named, f"{stack.name}: {pattern} is no Case and no Exchange"
            assert {lacks[name] for name in named} == {why}
        assert keeps_exchanges(stack).keys() == EXCHANGES.keys() - lacks.keys()
        assert keeps(stack).keys() == CASES.keys() - lacks.keys()
    bare = {"none", "ASGI"}
    whole = [name for name in ON_A_LOOP if STACKS[name].framework not in bare]
    assert not any(holes(STACKS[name]).keys() & CASES.keys() for name in whole)


def test_every_route_has_a_case() -> None:
    """No route is left out of the conformance test, nor kept out of it by its name."""
    for route in ROUTES:
        path = re.sub(r"\{\w+\}", "world", route.path)
        assert any(
            case.request.method == route.method
            and case.request.target.partition("?")[0] == path
            and case.expected.status in (200, 500)
            for case in CASES.values()
        ), route.name


NO_WAITS = ("", "+1", "%201", "1_0", "1.0", "0x1", "%D9%A1", "0000001", "9" * 5000)


def test_wait_is_strict(lab: Lab, server: Server) -> None:
    """Only decimal digits are a number of milliseconds."""
    with claims() as claimed:
        for wait_ms in NO_WAITS:
            with claimed.of(wait_ms):
                reply = lab.run(wire.get(server, f"/?wait_ms={wait_ms}"))
                assert (reply.status, reply.body) == (400, CASES["wait-negative"].expected.body)


NO_DOCUMENTS = (
    *(b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"[1", b"[] x", b'\xef\xbb\xbf"x"'),
    *(b"'x'", b"{a:1}", b"\x00", '"x"'.encode("utf-16")),
)


def test_json_is_strict(lab: Lab, server: Server) -> None:
    """What is not JSON, not in UTF-8 or beyond what can be written again is a 400."""
    with claims() as claimed:
        for document in NO_DOCUMENTS:
            with claimed.of(repr(document)):
                reply = lab.run(wire.ask(server, Request("POST", "/json", body=document)))
                assert (reply.status, reply.body) == (400, CASES["json-bad"].expected.body)


def test_error_is_logged_once_and_not_sent(
    lab: Lab, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback of a failed request is one record in the log; the client sees none of it."""
    caplog.clear()
    reply = lab.run(wire.get(server, "/error"))

    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in records] == ["GET /error failed"]
    assert records[0].name == basic.LOG.name
    assert records[0].exc_info is not None
    assert records[0].exc_info[0] is RuntimeError
    assert reply.body == b'{"error":"Internal Server Error"}'
    assert not any("always fails" in value for _, value in reply.headers)


def test_answers_are_not_delayed(lab: Lab, server: Server) -> None:
    """Accepted connections have TCP_NODELAY: no write waits for the last one's acknowledgement."""

    async def read() -> list[int]:
        async with wire.connection(server) as client:
            await client.ask(CASES["plain"].request)
            accepted = [
                entry.fd
                for entry in psutil.Process().net_connections("tcp")
                if entry.laddr.port == server.port and entry.status == psutil.CONN_ESTABLISHED
            ]
            options = []
            for descriptor in accepted:
                with socket.socket(fileno=os.dup(descriptor)) as copy:
                    options.append(copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            return options

    options = lab.run(read())
    assert options
    assert all(options)


def test_a_missing_route_fails_by_name(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack without a route answers 404 there and is not conformant; the others are not hurt."""
    from loopbench.servers.apps import aiohttp_app
    from loopbench.servers.lifecycle import in_loop

    fewer = tuple(route for route in ROUTES if route.name != "query")
    monkeypatch.setattr(aiohttp_app, "ROUTES", fewer)

    async def one_missing() -> dict[str, str | None]:
        async with in_loop.serving("aiohttp") as server:
            found = {}
            for name in ("plain", "query", "query-empty", "routes"):
                reply = await wire.ask(server, CASES[name].request)
                expected: Expected = CASES[name].expected
                found[name] = expected.check(reply.status, reply.body)
            return found

    found = lab.run(one_missing())
    assert found["plain"] is None
    assert found["query"] == found["query-empty"] == "status 404 instead of 200"
    assert found["routes"] is not None
