"""Every save accounted for: what the database holds, against what the clients were told.

The total is asked for before the load and after it. Each answered save must be there, none
twice, and only those without a good answer may be there besides: a client that was cut off
does not know whether its save was done.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from loopbench.loadtests.messages.reports import Buckets, LoadReport, Report
from loopbench.loadtests.scenarios.models import Load
from loopbench.results.schema import Code
from loopbench.servers.contract.asking import Unbounded, ask
from loopbench.servers.contract.data_cases import TOTAL
from loopbench.servers.contract.http import get

_SAVE, _TOTAL = "/db/save", "/db/total"
_BOUND_S = 10.0


@dataclass(frozen=True, slots=True)
class Total:
    """What `/db/total` says: saves, the sum of their amounts, and what the rows have gained."""

    saves: int
    amount: int
    added: int

    def since(self, before: Total) -> Total:
        """What has come since."""
        return Total(
            self.saves - before.saves, self.amount - before.amount, self.added - before.added
        )


@dataclass(frozen=True, slots=True)
class Accounted:
    """How an account came out. code: None where everything is in order.

    reason: in words that do not vary from Run to Run. count: how many saves are wrong, 0 where
    that is not known. detail: with the figures.
    """

    load: str
    code: Code | None
    reason: str = ""
    count: int = 0
    detail: str = ""


class Account:
    """The account of one Run, opened before its load."""

    def __init__(self, host: str, port: int, load: Load, *, whole: bool) -> None:
        self._at = host, port
        self._load = load
        self._whole = whole
        self._before = self._read()

    def close(self, report: Report) -> Accounted:
        """Ask again, and compare with what the load's report counts."""
        after = self._read()
        if any(row.gone for row in report.workers):
            after = "a load worker was lost, and with it what it was answered"
        return judged(self._load, self._before, after, report.loads[self._load.name])

    def _read(self) -> Total | str:
        if not self._whole:
            return "each process has a database of its own"
        return total(*self._at)


def account(host: str, port: int, loads: Iterable[Load], *, whole: bool) -> Account | None:
    """Of the load that saves; None where none does.

    whole: whether one question at that address is answered for all that is saved.
    """
    saving = (
        candidate for candidate in loads if urlsplit(candidate.case.request.target).path == _SAVE
    )
    load = next((candidate for candidate in saving if not candidate.own), None)
    return None if load is None else Account(host, port, load, whole=whole)


def total(host: str, port: int) -> Total | str:
    """What the server says; or why that cannot be had, in a line."""
    try:
        answer = ask(host, port, get(_TOTAL), bound_s=_BOUND_S)
    except (Unbounded, OSError, http.client.HTTPException) as error:
        return f"{_TOTAL}: {type(error).__name__}"
    match = TOTAL.fullmatch(answer.body) if answer.status == 200 else None
    if match is None:
        return f"{_TOTAL} answered {answer.status}: {answer.body[:80].decode(errors='replace')}"
    return Total(*map(int, match.groups()))


def judged(
    load: Load, before: Total | str, after: Total | str, load_report: LoadReport[Buckets]
) -> Accounted:
    """Hold two totals to a load's report."""
    for reading in (before, after):
        if isinstance(reading, str):
            return Accounted(load.name, Code.SAVES_UNCHECKED, "saves not checked", 0, reading)
    assert isinstance(before, Total) and isinstance(after, Total)
    gain = after.since(before)
    answered = load_report.warmup.answers + load_report.measured.answers
    failed = load_report.warmup.failed + load_report.measured.failed
    amount = int(parse_qs(urlsplit(load.case.request.target).query)["amount"][0])
    detail = (
        f"{answered} answered, {failed} without a good answer; {gain.saves} in the table, "
        f"their sum {gain.amount}, added to the rows {gain.added}"
    )
    wrong = (
        ("answered saves are not there", answered - gain.saves),
        ("more saves than were asked for", gain.saves - answered - failed),
        ("amounts are not those that were saved", abs(gain.amount - gain.saves * amount)),
        ("the rows have not gained what was saved", abs(gain.added - gain.amount)),
    )
    for reason, count in wrong:
        if count > 0:
            return Accounted(load.name, Code.SAVES_DIFFER, reason, count, detail)
    return Accounted(load.name, None, detail=detail)
