"""User-space instructions a request costs a server, counted by callgrind.

A count repeats to some thousandths of a per cent on any load of the machine,
where a time does not repeat to several per cent. The cost of one request is
the difference between two processes that answered different numbers of equal
requests on one connection: start-up, imports and shutdown cancel. Hash seed
and address layout are fixed (valgrind manual, Callgrind; personality(2)).
"""

from __future__ import annotations

import http.client
import re
import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from loadtests.errors import HarnessError
from servers.contract import Case
from servers.process import ServerProcess, server_process
from servers.settings import Settings

FEW, MANY = 50, 450
"""Requests answered by the two processes. The first ones warm up caches; both answer those."""

_READY_BOUND_S = 180.0
_STOP_BOUND_S = 120.0
_TOTALS = re.compile(r"^(?:totals|summary): (\d+)", re.M)


@dataclass(frozen=True, slots=True)
class Counted:
    """One process under callgrind. beats: of the probe's timer, None where no probe was on."""

    instructions: int
    requests: int
    beats: int | None


def missing() -> str | None:
    """What this machine lacks for counting, with the remedy; None when nothing is."""
    absent = [tool for tool in ("valgrind", "setarch") if shutil.which(tool) is None]
    if not absent:
        return None
    return f"{' and '.join(absent)} not found; install the packages valgrind and util-linux"


def count(stack: str, case: Case, requests: int, settings: Settings) -> Counted:
    """Instructions of a whole server process that answers `case` so many times.

    Raises HarnessError where callgrind is not there or did not count, and for
    a wrong answer.
    """
    lacking = missing()
    if lacking is not None:
        raise HarnessError(f"instructions cannot be counted: {lacking}")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind"
        prefix = (
            "env",
            "PYTHONHASHSEED=0",
            "setarch",
            "-R",
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={out}",
        )
        log = Path(folder) / "log"
        with server_process(
            stack,
            settings=settings,
            log=log,
            prefix=prefix,
            ready_timeout_s=_READY_BOUND_S,
            stop_timeout_s=_STOP_BOUND_S,
        ) as server:
            _send(server, case, requests)
            beats = None
            if settings.probe:
                beats = int(server.ask("observe", 60.0)["loop"]["beats"])
            ended = server.stop()
        if ended.exit_code != 0 or not out.exists():
            raise HarnessError(f"{stack} under callgrind ended with status {ended.exit_code}")
        found = _TOTALS.findall(out.read_text())
    if not found:
        raise HarnessError(f"callgrind wrote no total for {stack}")
    return Counted(int(found[-1]), requests, beats)


def per_request(fewer: Counted, more: Counted) -> float:
    """Instructions of one request, from two processes that differ in nothing else."""
    return (more.instructions - fewer.instructions) / (more.requests - fewer.requests)


def _send(server: ServerProcess, case: Case, requests: int) -> None:
    request, expected = case.request, case.expected
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    with closing(connection):
        for _ in range(requests):
            connection.request(
                request.method, request.target, request.body or None, dict(request.headers)
            )
            with connection.getresponse() as answer:
                problem = expected.check(answer.status, answer.read())
            if problem is not None:
                raise HarnessError(f"{case.name} under callgrind: {problem}")
