"""A Scenario of a person's own locustfile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.models import Load, Locustfile
from loopbench.loadtests.scenarios.table import Scenario
from loopbench.servers.contract.http import Case, Expected, Request
from loopbench.servers.supervision import own_modules
from loopbench.servers.supervision.child_process import interrupts_deferred

USERS = 10
"""Where nobody says how many."""

_MODULE = "loadtests.generator.locustfile"
_BOUND_S = 30.0
_IN_A_LOADS_FILE = (
    "say what it asks in a loads file, a table each, as in [search] with path, users (think_s for "
    "its wait_time) or rate_rps, method, headers and body"
)


def scenario_of(file: Path, users: int, spawn_rate: float | None) -> Scenario:
    """The users of a locustfile, offered through Locust itself.

    spawn_rate: how many of them begin a second, within the lead-in; None: all at once.

    Raises HarnessError for a file that is not of Locust's HTTP users, and says what to do then.
    """
    path = file.resolve()
    if not path.is_file():
        raise HarnessError(f"cannot read {file}: no such file; name another file")
    held = _look_at(path)
    if "error" in held:
        raise HarnessError(f"{file} cannot be imported: {held['error']}; correct it")
    if held["shapes"]:
        raise HarnessError(
            f"{file} has a LoadTestShape, whose users come and go, so that no window of it is "
            f"like another: take it out and say --users, or {_IN_A_LOADS_FILE}"
        )
    if held["others"]:
        raise HarnessError(
            f"{file}: {held['others'][0]} is neither an HttpUser nor a FastHttpUser, and nobody "
            f"here can tell what its answers are worth: {_IN_A_LOADS_FILE}"
        )
    if not held["users"]:
        raise HarnessError(f"{file} has no HttpUser or FastHttpUser; {_IN_A_LOADS_FILE}")
    # Locust alone knows the requests; this one stands for them.
    case = Case(f"the requests of {file.name}", Request("GET", "/"), Expected(0, None, b""))
    model = Locustfile(users, str(path), spawn_rate or 0.0)
    load = Load("main", case, model, own=True, learned=False)
    asks = f"what {', '.join(held['users'])} of {file.name} meet, {users} of them"
    return Scenario(
        f"{path.stem}-{users}",
        asks,
        (load,),
        warmup_s=users / spawn_rate if spawn_rate else 0.0,
        yardstick=False,
    )


def _look_at(path: Path) -> dict[str, Any]:
    """What the file holds, found out in a process of its own, which is then ended."""
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as output, open(reader, "rb") as answers:
        try:
            with interrupts_deferred():
                child = subprocess.Popen(
                    own_modules.command(_MODULE, str(path), str(writer)),
                    env=own_modules.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(writer,),
                    start_new_session=True,
                )
        finally:
            os.close(writer)
        try:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_BOUND_S)
        finally:
            with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a dead group
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        said = answers.read()
    if not said:
        return {"error": f"it did not end within {_BOUND_S:g} s, or ended the process"}
    held: dict[str, Any] = json.loads(said)
    return held
