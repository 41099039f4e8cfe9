"""Who gives up a long work does not wait for its longest step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import psutil
import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe import raw_request
from loopbench.loadtests.observe.callgrind import counting, missing
from loopbench.loadtests.observe.patience import BrokenOff, Patience
from loopbench.loadtests.observe.request_counts import SETTINGS, Sender
from loopbench.servers.contract.cases import CASES
from loopbench.servers.errors import StartupFailed
from tests.servers.processes import eventually, needs_proc


def test_what_is_given_up_calls_what_ends_its_steps() -> None:
    """Once, and only within the step; whether it or what it is a part of is given up."""
    called: list[str] = []
    whole = Patience()
    part = Patience(whole)
    with part.ending(lambda: called.append("first")):
        pass
    with part.ending(lambda: called.append("second")):
        whole.end()
        assert called == ["second"]
        part.end()
    with pytest.raises(BrokenOff):
        part.check()


def test_a_step_does_not_begin_where_the_work_was_given_up_before() -> None:
    """What would end it is called all the same: the step may have begun what takes long."""
    called: list[str] = []
    whole = Patience()
    whole.end()
    with pytest.raises(BrokenOff), Patience(whole).ending(lambda: called.append("at once")):
        called.append("begun")
    assert called == ["at once"]


def _under_valgrind() -> list[psutil.Process]:
    return [
        one
        for one in psutil.Process().children()
        if Path(next(iter(one.cmdline()), "")).name.startswith(("valgrind", "callgrind"))
        or "--tool=callgrind" in one.cmdline()
    ]


def _given_up(
    work: Callable[[Patience, threading.Event], None], begun: Callable[[threading.Event], bool]
) -> BaseException:
    """What `work` raises in a thread, given up when it has `begun`. It says so by the event, or
    by what it starts."""
    patience, event, raised = Patience(), threading.Event(), list[BaseException]()

    def in_thread() -> None:
        try:
            work(patience, event)
        except (StartupFailed, HarnessError, BrokenOff, OSError, HTTPException) as error:
            raised.append(error)

    thread = threading.Thread(target=in_thread)
    thread.start()
    assert eventually(lambda: begun(event))
    patience.end()
    thread.join()
    assert _under_valgrind() == []
    (error,) = raised
    return error


@needs_proc
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_counted_server_that_starts_is_killed_where_nobody_waits() -> None:
    """Its start takes seconds under valgrind: it has hardly begun when it is given up, and may
    not be waited for yet."""

    def start(patience: Patience, event: threading.Event) -> None:
        with counting("asyncio", SETTINGS, still=True, patience=patience):
            raise AssertionError("it has started")

    error = _given_up(start, lambda event: bool(_under_valgrind()))
    assert isinstance(error, BrokenOff) or "ended before it was ready" in str(error)


@needs_proc
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.parametrize("dumps", [False, True])
def test_a_count_that_is_given_up_ends(dumps: bool) -> None:
    """Between two requests, or while callgrind writes: what tells it to would keep a server that
    is killed from ending."""

    def count(patience: Patience, event: threading.Event) -> None:
        with counting("asyncio", SETTINGS, still=True, patience=patience) as counter:
            sender = Sender(counter, CASES["plain"], patience)
            with raw_request.connect(counter.server.host, counter.server.port) as connection:
                event.set()
                for _ in range(1_000):
                    sender.send(connection, 10) if not dumps else counter.dump(lambda: None)

    _given_up(count, threading.Event.is_set)
