"""Scenarios of a person's own application: from paths, from a file, and what they answer."""

from __future__ import annotations

import http.client
import re
import socket
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.table import Closed, Load, Model, Open, Scenario
from loopbench.results.schema import Code
from loopbench.servers.contract.cases import Case, Expected, Request
from loopbench.servers.custom.application import OwnApp, look_at
from loopbench.servers.custom.stacks import rows
from loopbench.servers.errors import ServerError
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.stacks import Stack, available
from loopbench.servers.supervision.control_pipe import ControlError

USERS = (32, 1)
"""The closed loops that a path is offered where nobody says otherwise."""

CONNECTIONS = 128
"""How many requests of an open loop may be under way, as in the suite's own."""

MOST_USERS = 10_000
MOST_RPS = 1_000_000.0
ASKED = (2, 1)
"""How often each request is asked before the load, in one process and in a second."""

_BOUND_S = 10.0
_ANY_BODY = re.compile(rb"(?s:.*)")
_UNKNOWN = Expected(0, None, b"")
_KEYS = {"path", "method", "body", "headers", "users", "rate_rps"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_METHOD = re.compile(r"[A-Z]{1,20}")
_TARGET = re.compile(r"/[!-~]*")
_FRAMING = {"host", "content-length", "transfer-encoding", "connection"}


@dataclass(frozen=True, slots=True)
class Own:
    """A person's own application, ready to be measured.

    stacks, scenarios: as STACKS and SCENARIOS are for the suite's own.
    described: what environment.json and plan.json say of it, as JSON types.
    """

    stacks: Mapping[str, Stack]
    scenarios: Mapping[str, Scenario]
    described: Mapping[str, Any]


def prepare(
    target: str, folder: Path, paths: Iterable[str], file: Path | None, on: tuple[str, ...]
) -> Own:
    """See what the application is, and learn what it answers.

    Raises HarnessError with the remedy for whatever of it cannot be measured.
    """
    offered = [*of_paths(paths), *(() if file is None else of_file(file))]
    if not offered:
        raise HarnessError("no request to offer; name one by --get /path or a file by --scenarios")
    unique = {scenario.name: scenario for scenario in offered}
    if len(unique) < len(offered):
        names = [scenario.name for scenario in offered]
        twice = next(name for name in names if names.count(name) > 1)
        raise HarnessError(f"two scenarios are called {twice}; rename one of them")
    requests = [load.case.request for scenario in offered for load in scenario.loads]
    safe = next((one.target for one in requests if one.method == "GET"), "/")
    own = OwnApp(target, str(folder.resolve()), safe)
    try:
        looks = look_at(own)
        stacks = rows(own, looks, on)
        here = next((stack for stack in stacks.values() if available(stack) is None), None)
        if here is None:
            raise HarnessError("; ".join(f"{s.name}: {available(s)}" for s in stacks.values()))
        learned = learn(here, requests)
    except (ServerError, ControlError) as error:
        raise HarnessError(str(error)) from error
    scenarios = {name: _expecting(one, learned) for name, one in unique.items()}
    described = {
        "target": target,
        "kind": looks.kind,
        "framework": looks.framework,
        "requests": {
            f"{request.method} {request.target}": _described(expected)
            for request, expected in learned.items()
        },
    }
    return Own(stacks, scenarios, described)


def _described(expected: Expected) -> dict[str, Any]:
    varies = isinstance(expected.body, re.Pattern)
    return {
        "status": expected.status,
        "content_type": expected.content_type,
        "body_bytes": None if isinstance(expected.body, re.Pattern) else len(expected.body),
        "checked": "status" if varies else "status and every byte",
    }


def of_paths(paths: Iterable[str]) -> list[Scenario]:
    """A closed loop of each of USERS for each path. Raises HarnessError for what is no path."""
    found = []
    taken: set[str] = set()
    for path in dict.fromkeys(paths):
        case = _case(f"--get {path}", "GET", path, (), b"")
        name = _slug(path, taken)
        for users in USERS:
            asks = f"what GET {path} of the own application does, {users} at once"
            load = Load("main", case, Closed(users), own=True)
            found.append(Scenario(f"{name}-{users}", asks, (load,), yardstick=False))
    return found


def of_file(file: Path) -> list[Scenario]:
    """The Scenarios of a TOML file, a table each. Raises HarnessError with table and key."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise HarnessError(f"cannot read {file}: {error.strerror}; name another file") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HarnessError(f"{file} is no TOML: {error}") from error
    return [_scenario(file, name, table) for name, table in tables.items()]


def _scenario(file: Path, name: str, table: Any) -> Scenario:
    where = f"{file.name}, [{name}]"
    if not isinstance(table, dict):
        raise HarnessError(f"{file.name}: {name} is no table; write [name] above its keys")
    if not _NAME.fullmatch(name):
        raise HarnessError(f"{where}: a name is of letters, digits, '.', '_' and '-'")
    unknown = sorted(table.keys() - _KEYS)
    if unknown:
        raise HarnessError(f"{where}: unknown key {unknown[0]}; known: {', '.join(sorted(_KEYS))}")
    paths = table.get("path")
    paths = [paths] if isinstance(paths, str) else paths
    if not (isinstance(paths, list) and paths and all(isinstance(one, str) for one in paths)):
        raise HarnessError(f'{where}: path must be a text such as "/search", or a list of them')
    if len(set(paths)) < len(paths):
        raise HarnessError(f"{where}: a path is there twice; give it more users instead")
    method, body, headers = (
        table.get("method", "GET"),
        table.get("body", ""),
        table.get("headers", {}),
    )
    if not (isinstance(method, str) and isinstance(body, str)):
        raise HarnessError(f"{where}: method and body must be texts")
    if not (isinstance(headers, dict) and all(isinstance(v, str) for v in headers.values())):
        raise HarnessError(f'{where}: headers must be a table of texts, as {{ Accept = "a/b" }}')
    model = _model(where, table)
    taken: set[str] = set()
    loads = tuple(
        Load(
            "main" if len(paths) == 1 else _slug(path, taken),
            _case(where, method, path, tuple(headers.items()), body.encode()),
            model,
            own=True,
        )
        for path in paths
    )
    what = f"{method} {', '.join(paths)}"
    asks = f"what {what} of the own application does, {model.describe()}"
    return Scenario(name, asks, loads, yardstick=False)


def _model(where: str, table: Mapping[str, Any]) -> Model:
    users, rate = table.get("users"), table.get("rate_rps")
    if (users is None) == (rate is None):
        raise HarnessError(f"{where}: give either users (closed loop) or rate_rps (open loop)")
    if rate is None:
        if type(users) is not int or not 1 <= users <= MOST_USERS:
            raise HarnessError(f"{where}: users must be a whole number from 1 to {MOST_USERS}")
        return Closed(users)
    if type(rate) not in (int, float) or not 0.1 <= rate <= MOST_RPS:
        raise HarnessError(f"{where}: rate_rps must be a number from 0.1 to {MOST_RPS:,.0f}")
    return Open(float(rate), CONNECTIONS)


def _case(
    where: str, method: str, path: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> Case:
    if not _TARGET.fullmatch(path):
        raise HarnessError(
            f"{where}: a path begins with / and is percent-encoded ASCII without spaces, "
            "as in /search?q=two%20words"
        )
    if not _METHOD.fullmatch(method):
        raise HarnessError(f"{where}: a method is of capital letters, as GET or POST")
    for name, value in headers:
        if name.lower() in _FRAMING:
            raise HarnessError(f"{where}: the header {name} is the suite's; leave it out")
        if not re.fullmatch(r"[!#-'*+.^_`|~\w-]+", name, re.A) or not re.fullmatch(
            r"[ -~]*", value
        ):
            raise HarnessError(f"{where}: {name!r} is no header of printable ASCII")
    return Case(f"{method} {path}", Request(method, path, headers, body), _UNKNOWN)


def _slug(path: str, taken: set[str]) -> str:
    """A short name for a path, another one for each, safe in names of Runs and files."""
    begin = re.sub(r"[^A-Za-z0-9]+", "-", path).strip("-").lower()[:40].strip("-") or "root"
    number, name = 1, begin
    while name in taken:
        number += 1
        name = f"{begin}-{number}"
    taken.add(name)
    return name


def learn(stack: Stack, requests: Iterable[Request]) -> dict[Request, Expected]:
    """What each request is answered, asked as often as ASKED says.

    Where the bytes differ from asking to asking (a time, a number, a port), any body will do.
    Raises ServerError where the application does not start, HarnessError for an answer
    that is not to be measured or whose status differs.
    """
    wanted = list(dict.fromkeys(requests))
    answers: dict[Request, list[Expected]] = {request: [] for request in wanted}
    for times in ASKED:
        with server_process(stack) as server:
            for request in wanted * times:
                answers[request].append(_ask(server.host, server.port, request))
    return {request: _agreed(request, told) for request, told in answers.items()}


def _agreed(request: Request, told: list[Expected]) -> Expected:
    first, what = told[0], f"{request.method} {request.target}"
    bad = next((one for one in told if not 200 <= one.status < 400), None)
    if bad is not None:
        remedy = (
            "correct the application, or name another path"
            if bad.status >= 500
            else "name a path and a method that the application answers with 200 to 399"
        )
        raise HarnessError(f"{what} was answered with status {bad.status}; {remedy}")
    if any((one.status, one.content_type, one.allow) != _kind(first) for one in told):
        raise HarnessError(
            f"{what} was answered with another status or content type from asking to asking; "
            "name a path whose answers are alike"
        )
    if all(one.body == first.body for one in told):
        return first
    return replace(first, body=_ANY_BODY)


def _kind(expected: Expected) -> tuple[int, str | None, str | None]:
    return expected.status, expected.content_type, expected.allow


def _ask(host: str, port: int, request: Request) -> Expected:
    try:
        with socket.create_connection((host, port), timeout=_BOUND_S) as connection:
            connection.sendall(request.encode(f"{host}:{port}"))
            with http.client.HTTPResponse(connection, method=request.method) as answer:
                answer.begin()
                body = answer.read()
                kind, allow = answer.getheader("Content-Type"), answer.getheader("Allow")
    except (OSError, http.client.HTTPException) as error:
        raise HarnessError(
            f"{request.method} {request.target} had no answer ({type(error).__name__}: {error}); "
            "name a path that ends with an answer"
        ) from error
    return Expected(answer.status, kind, body, allow)


def _expecting(scenario: Scenario, learned: Mapping[Request, Expected]) -> Scenario:
    """The Scenario with the answers that were learned, and a Warning where they vary."""
    return replace(scenario, loads=tuple(_told(load, learned) for load in scenario.loads))


def _told(load: Load, learned: Mapping[Request, Expected]) -> Load:
    expected = learned[load.case.request]
    varies = isinstance(expected.body, re.Pattern)
    codes = (Code.ANSWER_VARIES,) if varies else ()
    return replace(load, case=replace(load.case, expected=expected), codes=codes)
