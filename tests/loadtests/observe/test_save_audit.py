"""Saves held against the database: honest servers, and ones that lose, double or miscount."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.messages.reports import (
    Buckets,
    Failure,
    FleetReport,
    LoadReport,
    PhaseReport,
    Report,
)
from loopbench.loadtests.observe import save_audit
from loopbench.loadtests.observe.save_audit import Accounted, Total, judged
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.run_result import RunResult
from loopbench.loadtests.rows.run_rows import rows_of
from loopbench.loadtests.scenarios.table import Closed, Load, Scenario
from loopbench.results.schema import Code
from loopbench.servers.contract.cases import CASES
from tests.loadtests.generator.loads import spec_at
from tests.loadtests.rows.reports import WORKER, load_report, phase, session_report

LOAD = Load("main", CASES["db-save"], Closed(4))


@dataclass(slots=True)
class Table:
    """What a server holds. lock: its requests come in threads."""

    saves: int = 0
    amount: int = 0
    added: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def save(self, times: int = 1, *, gained: int = 7) -> None:
        self.saves += times
        self.amount += 7 * times
        self.added += gained * times


Save = Callable[[Table, int], bytes | None]
"""Does the save of that number; the answer's status line, or None to close instead."""

OK, AWAY = b"200 OK", b"503 Service Unavailable"


def honest(table: Table, number: int) -> bytes:
    table.save()
    return OK


def losing(table: Table, number: int) -> bytes:
    if number % 10:
        table.save()
    return OK


def doubling(table: Table, number: int) -> bytes:
    table.save(1 if number % 10 else 2)
    return OK


def half_done(table: Table, number: int) -> bytes:
    table.save(gained=7 if number % 10 else 0)
    return OK


def refusing(table: Table, number: int) -> bytes | None:
    """Refuses some, and does some that it then gives no answer to, or a bad one."""
    if number % 10 == 0:
        return AWAY
    table.save()
    return (OK, None, AWAY, *[OK] * 7)[number % 10]


@contextmanager
def saving_server(save: Save) -> Iterator[tuple[str, int]]:
    """Serves `POST /db/save?amount=7` as told, and `GET /db/total`."""
    table, numbers = Table(), iter(range(10**9))

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while request := connection.recv(65536):
                with table.lock:
                    if request.startswith(b"GET"):
                        body = b'{"saves":%d,"sum":%d,"added":%d}'
                        body %= (table.saves, table.amount, table.added)
                        status: bytes | None = OK
                    else:
                        body, status = b'{"saved":7}', save(table, next(numbers))
                if status is None:
                    return
                connection.sendall(
                    b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (status, len(body), body)
                )

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        try:
            yield listener.getsockname()[:2]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def accounted(generator: Generator, save: Save) -> tuple[Accounted, Report]:
    """A short load of saves, and how its account comes out."""
    with saving_server(save) as (host, port):
        opened = save_audit.account(host, port, (LOAD,), whole=True)
        assert opened is not None
        report = generator.load(
            spec_at(host, port, LOAD, seed=3), bound_s=30.0, at={}, give_up=lambda: False
        )
        return opened.close(report), report


@pytest.mark.parametrize("save", [honest, refusing])
def test_saves_that_are_all_there(generator: Generator, save: Save) -> None:
    """In order, also where some were refused and others done without an answer."""
    found, _ = accounted(generator, save)
    assert found.code is None, found.detail
    assert not found.detail.startswith("0 answered")


@pytest.mark.parametrize(
    ("save", "reason"),
    [
        (losing, "answered saves are not there"),
        (doubling, "more saves than were asked for"),
        (half_done, "the rows have not gained what was saved"),
    ],
)
def test_saves_that_are_not(generator: Generator, save: Save, reason: str) -> None:
    """A server that answers well and loses, doubles or half does every tenth save is found out, in
    the row of the Run and in that of the failure."""
    found, report = accounted(generator, save)
    assert (found.code, found.reason) == (Code.SAVES_DIFFER, reason)
    assert found.count > 0
    result = RunResult(
        PlannedRun("01.hostile.db-save-32", 1, 1, "hostile", "db-save-32"),
        Scenario("db-save-32", "", (LOAD,)),
        "2024-05-06T07:08:09.010+00:00",
        (Code.SAVES_DIFFER,),
        report=report,
        accounted=found,
    )
    rows = rows_of(result)
    assert Code.SAVES_DIFFER in str(rows.runs[0]["warnings"]).split(";")
    (row,) = rows.failures
    assert (row["reason"], row["count"], row["example"]) == (reason, found.count, found.detail)


def told(answered: int, failed: int = 0) -> LoadReport[Buckets]:
    """A report of so many, half of each in the lead-in."""

    def some(good: int, bad: int) -> PhaseReport[Buckets]:
        return phase(Failure("gone", bad, ""), answers=good)

    first = some(answered // 2, failed // 2)
    return load_report(first, some(answered - answered // 2, failed - failed // 2))


@pytest.mark.parametrize(
    ("after", "answered", "failed", "reason", "count"),
    [
        (Total(110, 770, 770), 10, 0, "", 0),
        (Total(113, 791, 791), 10, 3, "", 0),
        (Total(109, 763, 763), 10, 3, "answered saves are not there", 1),
        (Total(114, 798, 798), 10, 3, "more saves than were asked for", 1),
        (Total(110, 768, 768), 10, 0, "amounts are not those that were saved", 2),
        (Total(110, 770, 763), 10, 0, "the rows have not gained what was saved", 7),
    ],
)
def test_the_bounds(after: Total, answered: int, failed: int, reason: str, count: int) -> None:
    """To the very save: as many as were answered, and at most those that failed besides."""
    found = judged(LOAD, Total(100, 700, 700), after, told(answered, failed))
    assert (found.reason, found.count) == (reason, count)
    assert found.code == (Code.SAVES_DIFFER if reason else None)


def test_what_cannot_be_asked_is_not_in_order() -> None:
    """A server that is gone, or that is one of several with a database each: the Run says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()[:2]
    for whole in (True, False):
        account = save_audit.account(host, port, (LOAD,), whole=whole)
        assert account is not None
        found = account.close(session_report({"main": told(10)}))
        assert found.code is Code.SAVES_UNCHECKED
        assert found.detail in (
            "/db/total: ConnectionRefusedError",
            "each process has a database of its own",
        )


def test_a_lost_worker_takes_its_count_along() -> None:
    """What it was answered nobody knows, so that nothing can be held against the table."""
    with saving_server(honest) as (host, port):
        account = save_audit.account(host, port, (LOAD,), whole=True)
        assert account is not None
        lost = replace(WORKER, gone="exit status -9")
        fleet = FleetReport(
            busiest_cpu=None, worst_lag_p99_ms=None, one_clock=True, workers=(lost,)
        )
        report = session_report({"main": told(0)}, fleet=fleet)
        assert account.close(report).code is Code.SAVES_UNCHECKED


def test_other_loads_have_no_account() -> None:
    """Nothing is asked of a server whose load does not save."""
    load = Load("main", CASES["db-async"], Closed(4))
    own = replace(LOAD, own=True)  # a person's own application may have the same path
    assert save_audit.account("127.0.0.1", 1, (load, own), whole=True) is None
