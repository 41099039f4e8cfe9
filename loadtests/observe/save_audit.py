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
    saving = (one for one in loads if urlsplit(one.case.request.target).path == _SAVE)
    load = next((one for one in saving if not one.own), None)
    return None if load is None else Account(host, port, load, whole=whole)


def total(host: str, port: int) -> Total | str:
    """What the server says; or why that cannot be had, in a line."""
    try:
        answer = ask(host, port, get(_TOTAL), bound_s=_BOUND_S)
    except (Unbounded, OSError, http.client.HTTPException) as error:
        return f"{_TOTAL}: {type(error).__name__}"
    found = TOTAL.fullmatch(answer.body) if answer.status == 200 else None
    if found is None:
        return f"{_TOTAL} answered {answer.status}: {answer.body[:80].decode(errors='replace')}"
    return Total(*map(int, found.groups()))


def judged(
    load: Load, before: Total | str, after: Total | str, told: LoadReport[Buckets]
) -> Accounted:
    """Hold two totals to a load's report."""
    for one in (before, after):
        if isinstance(one, str):
            return Accounted(load.name, Code.SAVES_UNCHECKED, "saves not checked", 0, one)
    assert isinstance(before, Total) and isinstance(after, Total)
    found = after.since(before)
    answered = told.warmup.answers + told.measured.answers
    failed = told.warmup.failed + told.measured.failed
    amount = int(parse_qs(urlsplit(load.case.request.target).query)["amount"][0])
    said = (
        f"{answered} answered, {failed} without a good answer; {found.saves} in the table, "
        f"their sum {found.amount}, added to the rows {found.added}"
    )
    wrong = (
        ("answered saves are not there", answered - found.saves),
        ("more saves than were asked for", found.saves - answered - failed),
        ("amounts are not those that were saved", abs(found.amount - found.saves * amount)),
        ("the rows have not gained what was saved", abs(found.added - found.amount)),
    )
    for reason, count in wrong:
        if count > 0:
            return Accounted(load.name, Code.SAVES_DIFFER, reason, count, said)
    return Accounted(load.name, None, detail=said)
