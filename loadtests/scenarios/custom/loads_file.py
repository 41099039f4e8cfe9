"""Loads of a person's own application as they say them: paths, and tables of a TOML file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.custom.learning import ANY_BODY
from loopbench.loadtests.scenarios.events import EVENTS
from loopbench.loadtests.scenarios.model import Model
from loopbench.loadtests.scenarios.models import Closed, Echo, Load, Open, Scenario, Stream
from loopbench.loadtests.scenarios.websockets import MESSAGE_BYTES
from loopbench.servers.contract.http import Case, Expected, Request
from loopbench.servers.contract.websockets import SWITCHED, upgrade

USERS = (32, 1)
"""The closed loops that a path is offered where nobody says otherwise."""

CONNECTIONS = 128
"""How many requests of an open loop may be under way, as in the suite's own."""

MOST_USERS = 10_000
MOST_RPS = 1_000_000.0
MOST_THINK_S = 60.0
MOST_MESSAGE_BYTES = 1024 * 1024
UNKNOWN = Expected(0, None, b"")
"""Stands for the answer until it is learned."""

STATUS_ALONE = Expected(0, None, ANY_BODY)
"""The same where the status alone is to be checked."""

ARGUMENTS = "arguments"
"""The table of a file that is no scenario, but what the application's factory is given."""

CHECKS = {"bytes": UNKNOWN, "status": STATUS_ALONE}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_METHOD = re.compile(r"[A-Z]{1,20}")
_TARGET = re.compile(r"/[!-~]*")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FRAMING = {"content-length", "transfer-encoding", "connection"}


def of_paths(paths: Iterable[str], headers: tuple[tuple[str, str], ...] = ()) -> list[Scenario]:
    """A closed loop of each of USERS for each path. Raises HarnessError for what is no path."""
    scenarios = []
    taken: set[str] = set()
    for path in dict.fromkeys(paths):
        case = _case(f"--get {path}", "GET", path, headers, b"")
        name = _slug(path, taken)
        for users in USERS:
            asks = f"what GET {path} of the own application does, {users} at once"
            load = Load("main", case, Closed(users), own=True)
            scenarios.append(Scenario(f"{name}-{users}", asks, (load,), yardstick=False))
    return scenarios


def of_file(file: Path) -> list[Scenario]:
    """The Scenarios of a TOML file, a table each. Raises HarnessError with table and key."""
    tables = {name: table for name, table in _read(file).items() if name != ARGUMENTS}
    return of_tables(file.name, tables)


def of_tables(file: str, tables: Mapping[str, Any], under: str = "") -> list[Scenario]:
    """The Scenarios of tables, by their names. file: where they are. under: what stands there
    before each name, as in `[loads.NAME]`. Raises as `of_file`."""
    return [_scenario(file, under, name, table) for name, table in tables.items()]


def arguments_of(file: Path) -> Mapping[str, object]:
    """What the file has for the application's factory. Raises HarnessError."""
    arguments = _read(file).get(ARGUMENTS, {})
    if not isinstance(arguments, dict):
        raise HarnessError(f"{file.name}: {ARGUMENTS} is no table; write [{ARGUMENTS}]")
    return arguments


def _read(file: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise HarnessError(f"cannot read {file}: {error.strerror}; name another file") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HarnessError(f"{file} is no TOML: {error}") from error


def _scenario(file: str, under: str, name: str, table: Any) -> Scenario:
    where = f"{file}, [{under}{name}]"
    if not isinstance(table, dict):
        raise HarnessError(f"{file}: {under}{name} is no table; write [{under}NAME] above its keys")
    if not _NAME.fullmatch(name):
        raise HarnessError(f"{where}: a name is of letters, digits, '.', '_' and '-'")
    kind = _kind(where, table)
    paths = table.get("path")
    paths = [paths] if isinstance(paths, str) else paths
    if not (isinstance(paths, list) and paths and all(isinstance(path, str) for path in paths)):
        raise HarnessError(f'{where}: path must be a text such as "/search", or a list of them')
    if len(set(paths)) < len(paths):
        raise HarnessError(f"{where}: a path is there twice; give it more users instead")
    headers = table.get("headers", {})
    if not (isinstance(headers, dict) and all(isinstance(v, str) for v in headers.values())):
        raise HarnessError(f'{where}: headers must be a table of texts, as {{ Accept = "a/b" }}')
    filled = tuple((header, _filled(where, value)) for header, value in headers.items())
    model = kind.model(where, table)
    taken: set[str] = set()
    loads = tuple(
        Load(
            "main" if len(paths) == 1 else _slug(path, taken),
            kind.case(where, table, path, filled),
            model,
            own=True,
        )
        for path in paths
    )
    asks = f"what {loads[0].case.request.method} {', '.join(paths)} of the own application does, "
    return Scenario(name, asks + model.describe(), loads, yardstick=False)


def _filled(where: str, value: str) -> str:
    """A header's value with variables of the environment in place of `${NAME}`, so that a file
    which is shared need not hold a token. Raises HarnessError for one that is not set."""

    def variable(match: re.Match[str]) -> str:
        if (text := os.environ.get(match[1])) is None:
            raise HarnessError(f"{where}: headers name the variable {match[1]}, which is not set")
        return text

    return _VARIABLE.sub(variable, value)


def _kind(where: str, table: Mapping[str, Any]) -> _Kind:
    """What the table is about. Raises HarnessError for another kind, and a key that it has not."""
    name = _word(table, "kind", "requests", KINDS)
    if name is None:
        raise HarnessError(f"{where}: kind must be one of {', '.join(KINDS)}")
    kind = KINDS[name]
    known = _COMMON | kind.keys
    for key in sorted(table.keys() - known):
        others = [name for name, other in KINDS.items() if key in other.keys]
        if others:
            raise HarnessError(f'{where}: {key} is of kind = "{others[0]}"; leave it out')
        raise HarnessError(f"{where}: unknown key {key}; known: {', '.join(sorted(known))}")
    return kind


def _word(table: Mapping[str, Any], key: str, default: str, known: Container[str]) -> str | None:
    """The word that a table has under a key; None for another one, and for what is no text."""
    word = table.get(key, default)
    return word if isinstance(word, str) and word in known else None


def _request(
    where: str, table: Mapping[str, Any], path: str, headers: tuple[tuple[str, str], ...]
) -> Case:
    method, body = table.get("method", "GET"), table.get("body", "")
    check = _word(table, "check", "bytes", CHECKS)
    if not (isinstance(method, str) and isinstance(body, str)):
        raise HarnessError(f"{where}: method and body must be texts")
    if check is None:
        raise HarnessError(f'{where}: check must be "bytes" (each of them) or "status" (alone)')
    return _case(where, method, path, headers, body.encode(), CHECKS[check])


def _upgrade(
    where: str, table: Mapping[str, Any], path: str, headers: tuple[tuple[str, str], ...]
) -> Case:
    asked = _case(where, "GET", path, headers, b"").request
    opened = upgrade(path)
    request = Request("GET", path, (*opened.headers, *asked.headers))
    return Case(f"WebSocket {path}", request, SWITCHED)


def _requests(where: str, table: Mapping[str, Any]) -> Model:
    users, rate, think = (table.get(key) for key in ("users", "rate_rps", "think_s"))
    if (users is None) == (rate is None):
        raise HarnessError(f"{where}: give either users (closed loop) or rate_rps (open loop)")
    if rate is None:
        least, most = _think(where, think)
        return Closed(_users(where, users), think_min_s=least, think_max_s=most)
    if think is not None:
        raise HarnessError(f"{where}: think_s is of users in a closed loop; leave it out")
    if type(rate) not in (int, float) or not 0.1 <= rate <= MOST_RPS:
        raise HarnessError(f"{where}: rate_rps must be a number from 0.1 to {MOST_RPS:,.0f}")
    return Open(float(rate), CONNECTIONS)


def _stream(where: str, table: Mapping[str, Any]) -> Model:
    events = _word(table, "events", "sse", EVENTS)
    if events is None:
        kinds = " or ".join(f'"{name}"' for name in EVENTS)
        raise HarnessError(f"{where}: events must be {kinds}")
    return Stream(_users(where, table.get("users")), events)


def _echo(where: str, table: Mapping[str, Any]) -> Model:
    size = table.get("message_bytes", MESSAGE_BYTES)
    if type(size) is not int or not 1 <= size <= MOST_MESSAGE_BYTES:
        raise HarnessError(
            f"{where}: message_bytes must be a whole number from 1 to {MOST_MESSAGE_BYTES:,}"
        )
    return Echo(_users(where, table.get("users")), size)


def _users(where: str, users: Any) -> int:
    if type(users) is not int or not 1 <= users <= MOST_USERS:
        raise HarnessError(f"{where}: users must be a whole number from 1 to {MOST_USERS}")
    return users


def _think(where: str, think: Any) -> tuple[float, float]:
    """The least and the most of a user's think time; a number means exactly that."""
    both = think if isinstance(think, list) else [think or 0, think or 0]
    numbers = len(both) == 2 and all(type(bound) in (int, float) for bound in both)
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
    expected: Expected = UNKNOWN,
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


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a table can be about. keys: those that it has beside the common ones.

    model, case: made of the place that an error names, and the table; the case of a path and
    headers, too.
    """

    keys: frozenset[str]
    model: Callable[[str, Mapping[str, Any]], Model]
    case: Callable[[str, Mapping[str, Any], str, tuple[tuple[str, str], ...]], Case]


_COMMON = frozenset({"kind", "path", "headers", "users"})
_BODY = frozenset({"method", "body"})
KINDS: dict[str, _Kind] = {
    "requests": _Kind(_BODY | {"rate_rps", "think_s", "check"}, _requests, _request),
    "stream": _Kind(_BODY | {"events"}, _stream, _request),
    "echo": _Kind(frozenset({"message_bytes"}), _echo, _upgrade),
}
"""By the word for it in a table: requests, events without end, messages that come back."""
