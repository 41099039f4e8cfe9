"""A Scenario of a person's own locustfile."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.models import Load, Locustfile, Scenario
from loopbench.servers.contract.http import Case, Expected, Request
from loopbench.servers.supervision import own_modules
from loopbench.servers.supervision.look_process import look_process
from loopbench.servers.supervision.messages import Vocabulary

USERS = 10
"""Where nobody says how many."""

_MODULE = "loadtests.generator.locustfile"
_BOUND_S = 30.0
_IN_A_LOADS_FILE = (
    "say what it asks in a loads file, a table each, as in [search] with path, users (think_s for "
    "its wait_time) or rate_rps, method, headers and body"
)


@dataclass(frozen=True, slots=True)
class Users:
    """The names of its classes: users of HTTP, and others. shapes: whether it has a
    LoadTestShape."""

    users: tuple[str, ...]
    others: tuple[str, ...]
    shapes: bool


@dataclass(frozen=True, slots=True)
class NotImported:
    """It cannot be imported, and why."""

    error: str


FINDINGS: Vocabulary[Users | NotImported] = Vocabulary("finding", "found", (Users, NotImported))
"""What a look at a locustfile says."""


def scenario_of(file: Path, users: int, spawn_rate: float | None) -> Scenario:
    """The users of a locustfile, offered through Locust itself.

    spawn_rate: how many of them begin a second, within the lead-in; None: all at once.

    Raises HarnessError for a file that is not of Locust's HTTP users, and says what to do then.
    """
    path = file.resolve()
    if not path.is_file():
        raise HarnessError(f"cannot read {file}: no such file; name another file")
    contents = _look_at(path)
    if isinstance(contents, NotImported):
        raise HarnessError(f"{file} cannot be imported: {contents.error}; correct it")
    if contents.shapes:
        raise HarnessError(
            f"{file} has a LoadTestShape, whose users come and go, so that no window of it is "
            f"like another: take it out and say --users, or {_IN_A_LOADS_FILE}"
        )
    if contents.others:
        raise HarnessError(
            f"{file}: {contents.others[0]} is neither an HttpUser nor a FastHttpUser, and nobody "
            f"here can tell what its answers are worth: {_IN_A_LOADS_FILE}"
        )
    if not contents.users:
        raise HarnessError(f"{file} has no HttpUser or FastHttpUser; {_IN_A_LOADS_FILE}")
    # Locust alone knows the requests; this one stands for them.
    case = Case(f"the requests of {file.name}", Request("GET", "/"), Expected(0, None, b""))
    model = Locustfile(users, str(path), spawn_rate or 0.0)
    load = Load("main", case, model, own=True, learned=False)
    asks = f"what {', '.join(contents.users)} of {file.name} meet, {users} of them"
    return Scenario(
        f"{path.stem}-{users}",
        asks,
        (load,),
        warmup_s=users / spawn_rate if spawn_rate else 0.0,
        yardstick=False,
    )


def _look_at(path: Path) -> Users | NotImported:
    """What the file holds, found out in a process of its own, which is then ended."""
    with look_process(
        lambda writer: own_modules.command(_MODULE, str(path), str(writer)),
        env=own_modules.environment(),
    ) as process:
        try:
            line = process.line(time.monotonic() + _BOUND_S)
        except TimeoutError:
            line = None
    if line is None:
        return NotImported(f"it did not end within {_BOUND_S:g} s, or ended the process")
    return FINDINGS.from_json(json.loads(line))
