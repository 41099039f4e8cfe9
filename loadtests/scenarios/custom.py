"""Scenarios of a person's own application: from paths, from a file, and what they answer."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios import locustfile
from loopbench.loadtests.scenarios.events import EVENTS
from loopbench.loadtests.scenarios.learning import ANY_BODY, learn
from loopbench.loadtests.scenarios.models import Stream
from loopbench.loadtests.scenarios.table import Closed, Load, Model, Open, Scenario
from loopbench.results.schema import Code
from loopbench.servers.contract.cases import Case, Expected, Request
from loopbench.servers.custom.application import READY_S, OwnApp
from loopbench.servers.custom.look import look_at
from loopbench.servers.custom.stacks import rows
from loopbench.servers.errors import ServerError
from loopbench.servers.stacks import Stack, available
from loopbench.servers.supervision.control_pipe import ControlError

USERS = (32, 1)
"""The closed loops that a path is offered where nobody says otherwise."""

CONNECTIONS = 128
"""How many requests of an open loop may be under way, as in the suite's own."""

MOST_USERS = 10_000
MOST_RPS = 1_000_000.0
MOST_THINK_S = 60.0
_UNKNOWN = Expected(0, None, b"")
_STATUS_ALONE = Expected(0, None, ANY_BODY)
"""Stands for the answer until it is learned, where its status alone is to be checked."""

ARGUMENTS = "arguments"
"""The table of a file that is no scenario, but what the application's factory is given."""

CHECKS = {"bytes": _UNKNOWN, "status": _STATUS_ALONE}
_KEYS = {
    "path", "method", "body", "headers", "users", "rate_rps", "think_s", "check", "kind", "events"
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_METHOD = re.compile(r"[A-Z]{1,20}")
_TARGET = re.compile(r"/[!-~]*")
_FRAMING = {"host", "content-length", "transfer-encoding", "connection"}


@dataclass(frozen=True, slots=True)
class Own:
    """A person's own application, ready to be measured.

    stacks, scenarios: as STACKS and SCENARIOS are for the suite's own.
    described: what environment.json and plan.json say of it, as JSON types.
    notes: what a person should know before the load, a sentence each; in `described`, too.
    """

    stacks: Mapping[str, Stack]
    scenarios: Mapping[str, Scenario]
    described: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def prepare(
    target: str,
    folder: Path,
    paths: Iterable[str],
    file: Path | None,
    on: tuple[str, ...],
    *,
    headers: tuple[tuple[str, str], ...] = (),
    arguments: Mapping[str, Any] | None = None,
    ready_s: float = READY_S,
    tables: Mapping[str, Any] | None = None,
    users: int | None = None,
    spawn_rate: float | None = None,
) -> Own:
    """See what the application is, and learn what it answers.

    headers: sent with each of `paths`. arguments: what its factory is given by name.
    tables: scenarios beside those of `file`, as a TOML file has them. users, spawn_rate: of a
    locustfile, where `file` is one.

    Raises HarnessError with the remedy for whatever of it cannot be measured.
    """
    offered = of_paths(paths, headers)
    given: dict[str, Any] = {}
    if file is not None and file.suffix == ".py":
        offered.append(locustfile.scenario_of(file, users or locustfile.USERS, spawn_rate))
    elif users is not None or spawn_rate is not None:
        raise HarnessError(
            "--users and --spawn-rate are of a locustfile, given by --scenarios; in a loads file "
            "each table has its users"
        )
    elif file is not None:
        offered += of_file(file)
        given |= arguments_of(file)
    offered += of_tables("configuration", tables or {})
    given |= arguments or {}
    if not offered:
        raise HarnessError("no request to offer; name one by --get /path or a file by --scenarios")
    unique = {scenario.name: scenario for scenario in offered}
    if len(unique) < len(offered):
        names = [scenario.name for scenario in offered]
        twice = next(name for name in names if names.count(name) > 1)
        raise HarnessError(f"two scenarios are called {twice}; rename one of them")
    loads = [load for scenario in offered for load in scenario.loads if load.learned]
    requests, streams = [load.case.request for load in loads], _streams(loads)
    safe = next((one.target for one in requests if one.method == "GET"), "/")
    own = OwnApp(target, str(folder.resolve()), safe, given, ready_s)
    try:
        looks = look_at(own)
        stacks = rows(own, looks, on)
        here = next((stack for stack in stacks.values() if available(stack) is None), None)
        if here is None:
            raise HarnessError("; ".join(f"{s.name}: {available(s)}" for s in stacks.values()))
        learned = learn(here, requests, streams)
    except (ServerError, ControlError) as error:
        raise HarnessError(str(error)) from error
    scenarios = {name: _expecting(one, learned) for name, one in unique.items()}
    notes = (*looks.notes, *_redirects(learned))
    unread = {load.case.request for load in loads if load.case.expected is _STATUS_ALONE}
    described = {
        "target": target,
        "kind": looks.kind,
        "framework": looks.framework,
        "requests": {
            f"{request.method} {request.target}": _described(expected, request in unread)
            for request, expected in learned.items()
        },
        **({"notes": list(notes)} if notes else {}),
    }
    return Own(stacks, scenarios, described, notes)


def _streams(loads: Iterable[Load]) -> dict[Request, str]:
    """The requests that are answered with events, of which kind. Raises HarnessError for one that
    is offered in two ways."""
    found: dict[Request, str | None] = {}
    for load in loads:
        request = load.case.request
        kind = load.model.events if isinstance(load.model, Stream) else None
        if found.setdefault(request, kind) != kind:
            raise HarnessError(
                f"{request.method} {request.target} is offered as a stream and otherwise, or as "
                "two kinds of one; choose one of the two"
            )
    return {request: kind for request, kind in found.items() if kind is not None}


def _redirects(learned: Mapping[Request, Expected]) -> list[str]:
    return [
        f"{request.method} {request.target} is answered with a redirect, status "
        f"{expected.status}: that answer is measured, and not what it leads to"
        for request, expected in learned.items()
        if 300 <= expected.status < 400 and expected.status != 304
    ]


def _described(expected: Expected, unread: bool) -> dict[str, Any]:
    varies = isinstance(expected.body, re.Pattern)
    status = "status, and that events come" if expected.endless else "status"
    return {
        "status": expected.status,
        "content_type": expected.content_type,
        "body_bytes": None if isinstance(expected.body, re.Pattern) else len(expected.body),
        "checked": status if varies or unread else "status and every byte",
    }


def of_paths(paths: Iterable[str], headers: tuple[tuple[str, str], ...] = ()) -> list[Scenario]:
    """A closed loop of each of USERS for each path. Raises HarnessError for what is no path."""
    found = []
    taken: set[str] = set()
    for path in dict.fromkeys(paths):
        case = _case(f"--get {path}", "GET", path, headers, b"")
        name = _slug(path, taken)
        for users in USERS:
            asks = f"what GET {path} of the own application does, {users} at once"
            load = Load("main", case, Closed(users), own=True)
            found.append(Scenario(f"{name}-{users}", asks, (load,), yardstick=False))
    return found


def of_file(file: Path) -> list[Scenario]:
    """The Scenarios of a TOML file, a table each. Raises HarnessError with table and key."""
    tables = {name: table for name, table in _read(file).items() if name != ARGUMENTS}
    return of_tables(file.name, tables)


def of_tables(where: str, tables: Mapping[str, Any]) -> list[Scenario]:
    """The Scenarios of tables; `where` they are. Raises as `of_file`."""
    return [_scenario(where, name, table) for name, table in tables.items()]


def arguments_of(file: Path) -> dict[str, Any]:
    """What the file has for the application's factory. Raises HarnessError."""
    arguments = _read(file).get(ARGUMENTS, {})
    if not isinstance(arguments, dict):
        raise HarnessError(f"{file.name}: {ARGUMENTS} is no table; write [{ARGUMENTS}]")
    return arguments


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise HarnessError(f"cannot read {file}: {error.strerror}; name another file") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HarnessError(f"{file} is no TOML: {error}") from error


def _scenario(file: str, name: str, table: Any) -> Scenario:
    where = f"{file}, [{name}]"
    if not isinstance(table, dict):
        raise HarnessError(f"{file}: {name} is no table; write [name] above its keys")
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
    check = table.get("check", "bytes")
    if check not in CHECKS:
        raise HarnessError(f'{where}: check must be "bytes" (each of them) or "status" (alone)')
    model = _model(where, table)
    taken: set[str] = set()
    loads = tuple(
        Load(
            "main" if len(paths) == 1 else _slug(path, taken),
            _case(where, method, path, tuple(headers.items()), body.encode(), CHECKS[check]),
            model,
            own=True,
        )
        for path in paths
    )
    what = f"{method} {', '.join(paths)}"
    asks = f"what {what} of the own application does, {model.describe()}"
    return Scenario(name, asks, loads, yardstick=False)


def _model(where: str, table: Mapping[str, Any]) -> Model:
    kind, users, rate = table.get("kind", "requests"), table.get("users"), table.get("rate_rps")
    if kind not in ("requests", "stream"):
        raise HarnessError(f'{where}: kind must be "requests" or "stream" (events without end)')
    stream, think = kind == "stream", table.get("think_s")
    if "events" in table and not stream:
        raise HarnessError(f'{where}: events are those of a stream; add kind = "stream"')
    if (users is None) == (rate is None) or (stream and users is None):
        raise HarnessError(
            f"{where}: give {'users, which each read the stream' if stream else _USERS_OR_RATE}"
        )
    if think is not None and (stream or users is None):
        raise HarnessError(f"{where}: think_s is of users in a closed loop; leave it out")
    if rate is None:
        if type(users) is not int or not 1 <= users <= MOST_USERS:
            raise HarnessError(f"{where}: users must be a whole number from 1 to {MOST_USERS}")
        if stream:
            return _stream(where, table, users)
        least, most = _think(where, think)
        return Closed(users, think_min_s=least, think_max_s=most)
    if type(rate) not in (int, float) or not 0.1 <= rate <= MOST_RPS:
        raise HarnessError(f"{where}: rate_rps must be a number from 0.1 to {MOST_RPS:,.0f}")
    return Open(float(rate), CONNECTIONS)


_USERS_OR_RATE = "either users (closed loop) or rate_rps (open loop)"


def _stream(where: str, table: Mapping[str, Any], users: int) -> Stream:
    if "check" in table:
        raise HarnessError(f"{where}: of a stream the status is checked; leave check out")
    events = table.get("events", "sse")
    if events not in EVENTS:
        kinds = " or ".join(f'"{name}"' for name in EVENTS)
        raise HarnessError(f"{where}: events must be {kinds}")
    return Stream(users, events)


def _think(where: str, think: Any) -> tuple[float, float]:
    """The least and the most of a user's think time; a number means exactly that."""
    both = think if isinstance(think, list) else [think or 0, think or 0]
    numbers = len(both) == 2 and all(type(one) in (int, float) for one in both)
    if not (numbers and 0 <= both[0] <= both[1] <= MOST_THINK_S):
        raise HarnessError(
            f"{where}: think_s must be a number of seconds from 0 to {MOST_THINK_S:g}, or the "
            "least and the most of it, as in think_s = [0.5, 2]"
        )
    return float(both[0]), float(both[1])


def _case(
    where: str,
    method: str,
    path: str,
    headers: tuple[tuple[str, str], ...],
    body: bytes,
    expected: Expected = _UNKNOWN,
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
    return Case(f"{method} {path}", Request(method, path, headers, body), expected)


def _slug(path: str, taken: set[str]) -> str:
    """A short name for a path, another one for each, safe in names of Runs and files."""
    begin = re.sub(r"[^A-Za-z0-9]+", "-", path).strip("-").lower()[:40].strip("-") or "root"
    number, name = 1, begin
    while name in taken:
        number += 1
        name = f"{begin}-{number}"
    taken.add(name)
    return name


def _expecting(scenario: Scenario, learned: Mapping[Request, Expected]) -> Scenario:
    """The Scenario with the answers that were learned, and a Warning where they vary."""
    return replace(scenario, loads=tuple(_told(load, learned) for load in scenario.loads))


def _told(load: Load, learned: Mapping[Request, Expected]) -> Load:
    if not load.learned:
        return load
    codes: tuple[Code, ...] = ()
    expected = learned[load.case.request]
    if load.case.expected is _STATUS_ALONE:
        expected = replace(expected, body=ANY_BODY)
    elif not expected.endless:
        codes = (Code.ANSWER_VARIES,) if isinstance(expected.body, re.Pattern) else ()
    return replace(load, case=replace(load.case, expected=expected), codes=codes)
