"""What a server keeps of requests that have ended: memory that grows with every one of them.

A case is asked N times, what is held is read, it is asked N times more, and what is held is read
again: the difference, over N, is what one request leaves behind. What is made once (caches, lists
of free objects) is there after the first N. The same is done with connections that are closed by
FIN, and with some that are torn down by RST. Every repeat has a fresh process.
"""

from __future__ import annotations

import http.client
import os
import socket
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from loopbench.loadtests.observe import raw_request
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.regression import inside
from loopbench.loadtests.regression.inside.sitecustomize import VARIABLE
from loopbench.loadtests.regression.layers.limits import ENDINGS, LINGER_NOT
from loopbench.loadtests.regression.parts import Name, Part
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.results.schema import Row
from loopbench.servers.contract.http import Case
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.settings import Settings

REQUESTS = 200
REPEATS = 2

_ASK_BOUND_S = 30.0


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds: blocks of Python's allocator, and resident bytes."""

    blocks: int
    resident_bytes: int


class WrongAnswer(Exception):
    """A case was not answered as its contract says."""


def measure(
    side: Side,
    cases: Mapping[str, Case],
    stacks: Iterable[str],
    log: Path,
    patience: Patience,
    requests: int = REQUESTS,
    repeats: int = REPEATS,
) -> Iterator[Part]:
    """A row a stack, subject and repeat; a subject is there with the last of its repeats.

    Raises ServerError, and OSError where a server is gone.
    """
    for stack in stacks:
        rows: defaultdict[str, list[Row]] = defaultdict(list)
        for repeat in range(1, repeats + 1):
            with _readable(side, stack, log) as (server, read):
                for subject, send in _subjects(server, cases, patience):
                    rows[subject].append(
                        {
                            "side": str(side.role),
                            "stack": stack,
                            "subject": subject,
                            "repeat": repeat,
                            "requests": requests,
                            **_growth(send, read, requests),
                        }
                    )
                    if repeat == repeats:
                        yield Part(stack, subject, rows[subject])


def planned(cases: Iterable[str], stacks: Iterable[str]) -> list[Name]:
    """What is measured of a side that has these cases."""
    subjects = [*cases, *ENDINGS]
    return [(stack, subject) for stack in stacks for subject in subjects]


Send = Callable[[int], None]
"""Sends so many requests. Raises WrongAnswer, OSError and HTTPException."""


def _growth(send: Send, read: Callable[[], Held], requests: int) -> Row:
    try:
        send(requests)
        before = read()
        send(requests)
        after = read()
    except (WrongAnswer, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        why = str(error) or type(error).__name__
        return {"blocks": None, "resident_bytes": None, "reason": why}
    return {
        "blocks": (after.blocks - before.blocks) / requests,
        "resident_bytes": (after.resident_bytes - before.resident_bytes) / requests,
        "reason": None,
    }


def _subjects(
    server: ServerProcess, cases: Mapping[str, Case], patience: Patience
) -> Iterator[tuple[str, Send]]:
    for name, case in cases.items():
        yield name, partial(_on_one_connection, server, patience, case)
    first = next(iter(cases.values()))
    for name, hard in ENDINGS.items():
        yield name, partial(_on_new_connections, server, patience, first, hard)


def _on_one_connection(server: ServerProcess, patience: Patience, case: Case, count: int) -> None:
    with raw_request.connect(server.host, server.port) as connection:
        for _ in range(count):
            patience.check()
            _exchange(server, connection, case)


def _on_new_connections(
    server: ServerProcess, patience: Patience, case: Case, hard: bool, count: int
) -> None:
    for _ in range(count):
        patience.check()
        with raw_request.connect(server.host, server.port) as connection:
            _exchange(server, connection, case)
            if hard:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)


def _exchange(server: ServerProcess, connection: socket.socket, case: Case) -> None:
    reply = raw_request.exchange(connection, case.request, f"{server.host}:{server.port}")
    problem = case.expected.check(reply.status, reply.body)
    if problem is not None:
        raise WrongAnswer(f"{case.name}: {problem}")


@contextmanager
def _readable(
    side: Side, stack: str, log: Path
) -> Iterator[tuple[ServerProcess, Callable[[], Held]]]:
    """A live server, and what reads what it holds."""
    with tempfile.TemporaryDirectory(prefix="loopbench-heap-") as temporary:
        path = os.path.join(temporary, "socket")
        folder = Path(inside.__file__).parent
        variables = ("env", f"PYTHONPATH={folder}", f"{VARIABLE}={path}")
        with server_process(
            stack,
            settings=Settings(),
            log=log,
            prefix=variables,
            python=side.python,
            root=side.root,
        ) as server:
            yield server, lambda: _read(path)


def _read(path: str) -> Held:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_ASK_BOUND_S)
        asking.connect(path)
        with asking.makefile() as answer:
            blocks, resident = answer.readline().split()
    return Held(int(blocks), int(resident))
