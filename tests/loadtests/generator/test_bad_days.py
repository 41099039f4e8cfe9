"""The generator where servers fail, loads are broken off, and processes die."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from loopbench.loadtests.distributed import generator_process as harness_side
from loopbench.loadtests.distributed.generator_process import Generator, generator_process
from loopbench.loadtests.errors import GeneratorDied, HarnessError
from loopbench.loadtests.messages.generator import (
    COMMANDS,
    Failed,
    Finished,
    Gather,
    GeneratorEvent,
    OfferLoad,
    Release,
    Visit,
    WindowClosed,
    WindowOpened,
)
from loopbench.loadtests.messages.specs import Phase
from loopbench.loadtests.scenarios.table import Load
from tests.loadtests.generator.counting import Counting, counting_server
from tests.loadtests.generator.loads import (
    MEASURED_S,
    WARMUP_S,
    arrivals,
    begun,
    closed,
    failures,
    histogram,
    offer,
    opened,
    spec,
    spec_at,
)
from tests.servers.processes import ROOT, eventually


def test_requests_without_an_answer_within_the_bound_have_failed(
    generator: Generator, server: Counting
) -> None:
    """Each request in flight when the drain's bound is over is one failure with its reason."""
    report = offer(generator, server, closed("/never", 5), warmup_s=0.1, drain_s=0.2)
    # They began in the lead-in, which is where they belong.
    assert failures(report, "warmup") == {"no answer in time": 5}
    assert begun(report, "measured") == 0
    assert eventually(lambda: server.total == 5)
    assert histogram(report, "failure_time", "warmup").count == 5
    assert min(histogram(report, "failure_time", "warmup").buckets()) >= 400_000


def test_a_request_fails_at_its_own_bound(generator: Generator, server: Counting) -> None:
    """No answer for `timeout_s` is a failure in the middle of the window, and the user goes on."""
    report = offer(
        generator,
        server,
        closed("/never", 2),
        warmup_s=0.1,
        measured_s=0.6,
        timeout_s=0.15,
        drain_s=0.1,
    )
    count = failures(report, "measured")["no answer in time"]
    assert count >= 4
    sent = begun(report, "warmup") + begun(report, "measured")
    assert eventually(lambda: server.total == sent)
    assert min(histogram(report, "failure_time", "measured").buckets()) >= 150_000
    (told,) = report.loads["main"].measured.failures
    assert told.example.startswith("after ")


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/wrong", "status 503 instead of 200"), ("/close", "closed before the answer")],
)
def test_wrong_answers_are_failures_with_their_reason(
    generator: Generator, server: Counting, path: str, reason: str
) -> None:
    """A wrong answer has no service time, and each one is counted."""
    report = offer(generator, server, closed(path, 3))
    assert list(failures(report, "measured")) == [reason]
    assert histogram(report, "service_time", "measured").count == 0
    assert report.loads["main"].completed == 0
    assert begun(report, "warmup") + begun(report, "measured") == server.total


def test_arrivals_that_no_connection_was_free_for_are_counted(
    generator: Generator, server: Counting
) -> None:
    """Two connections that are never answered: two requests without an answer, and all other
    arrivals unsent, each one a failure."""
    report = offer(generator, server, opened("/never", 200.0, 2), drain_s=0.1)
    expected = arrivals(200.0, WARMUP_S, MEASURED_S)
    assert (begun(report, "warmup"), begun(report, "measured")) == expected
    assert failures(report, "warmup") == {
        "no answer in time": 2,
        "not sent: every connection was busy": expected[0] - 2,
    }
    assert failures(report, "measured") == {"not sent: every connection was busy": expected[1]}
    assert eventually(lambda: server.total == 2)


def test_nobody_listening_is_counted_as_failures(generator: Generator) -> None:
    """Refused connections are failed requests, not an empty load."""
    with counting_server() as server:
        pass
    report = offer(generator, server, closed("/now", 2))
    assert list(failures(report, "measured")) == ["connect: ECONNREFUSED"]
    assert histogram(report, "service_time", "measured").count == 0


@pytest.mark.parametrize("load", [closed("/now", 2), opened("/now", 100.0, 4)])
def test_a_load_given_up_reports_what_was_measured(
    generator: Generator, server: Counting, load: Load
) -> None:
    """Breaking off in the window ends it there; what was counted by then is counted right, with
    what was under way at that moment."""
    begun_at: list[float] = []
    report = offer(
        generator,
        server,
        load,
        measured_s=3600.0,
        at={WindowOpened: lambda: begun_at.append(time.monotonic())},
        give_up=lambda: bool(begun_at) and time.monotonic() > begun_at[0] + 0.2,
    )
    assert report.measured_s < 60.0
    assert begun(report, "measured") > 0
    # What was sent last may lie there unread for a while.
    sent = begun(report, "warmup") + begun(report, "measured")
    assert eventually(lambda: server.total == sent)
    assert sum(failures(report, "measured").values()) <= load.model.population
    assert report.loads["main"].completed > 0


def test_giving_up_while_nobody_can_connect(generator: Generator) -> None:
    """Users that hang in the kernel's handshake are freed when the load is broken off."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        clients = [socket.socket() for _ in range(3)]
        for client in clients:  # fill the backlog, so that further handshakes get no answer
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        until = time.monotonic() + 0.5
        report = generator.load(
            spec(Counting(listener), closed("/now", 4)),
            bound_s=30.0,
            at={},
            give_up=lambda: time.monotonic() > until,
        )
        for client in clients:
            client.close()
    assert begun(report, "measured") == 0


def test_the_same_generator_goes_on_after_a_defect(generator: Generator, server: Counting) -> None:
    """What is wrong with the load itself is the harness's error, not a failed request; the next
    load is not touched by it."""
    with pytest.raises(HarnessError, match=r"OverflowError: .*port"):
        generator.load(
            spec_at(server.host, 70_000, closed("/now", 3)),
            bound_s=10.0,
            at={},
            give_up=lambda: False,
        )
    with pytest.raises(HarnessError, match="could not run the load"):
        offer(generator, server, closed("/now", 3), measured_s=float("nan"))
    sent = COMMANDS.to_json(OfferLoad(spec(server, closed("/now", 3))))
    for nonsense, why in (
        ({"speed": 3}, "OfferLoad.spec: unknown 'speed'"),
        ({"loads": [{"name": "main"}]}, "OfferLoad.spec.loads: 'case', 'model', .* missing"),
        ({"seed": None}, "OfferLoad.spec.seed: 'None' is not int"),
    ):
        generator._child.send({**sent, "spec": {**sent["spec"], **nonsense}})
        with pytest.raises(HarnessError, match=why):
            generator.expect(Finished, 10.0)
    with counting_server() as fresh:
        report = offer(generator, fresh, closed("/now", 3))
        assert begun(report, "warmup") + begun(report, "measured") == fresh.total


def test_a_killed_generator_is_seen_to_be() -> None:
    """In the middle of a load, too: the error says how it ended."""
    with counting_server() as server, generator_process() as generator:
        with pytest.raises(GeneratorDied, match="signal SIGKILL"):
            offer(
                generator,
                server,
                closed("/now", 2),
                measured_s=60.0,
                at={WindowOpened: lambda: os.kill(generator.pid, signal.SIGKILL)},
            )
        assert not generator.alive
        with pytest.raises(GeneratorDied):
            offer(generator, server, closed("/now", 2))


def test_a_frozen_generator_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up at the bound, and killed in the end."""
    monkeypatch.setattr(harness_side, "_REPORT_BOUND_S", 0.1)
    monkeypatch.setattr(harness_side, "_STOP_BOUND_S", 0.2)
    with counting_server() as server, generator_process() as generator:
        with pytest.raises(GeneratorDied, match="fell silent"):
            generator.load(
                spec(server, closed("/now", 2), measured_s=60.0),
                bound_s=0.5,
                at={WindowOpened: lambda: os.kill(generator.pid, signal.SIGSTOP)},
                give_up=lambda: False,
            )
    assert not generator.alive


def test_the_generator_goes_when_the_harness_is_gone(server: Counting) -> None:
    """End of file on its pipe ends it at once, in the middle of a load."""
    with subprocess.Popen(
        [sys.executable, "-m", "loopbench.loadtests.generator.main"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert json.loads(process.stdout.readline())["event"] == "ready"
            load = COMMANDS.to_json(OfferLoad(spec(server, closed("/now", 2), measured_s=60.0)))
            process.stdin.write(json.dumps(load).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["event"] == "window-opened"
            process.stdin.close()
            process.stdout.close()
            assert eventually(lambda: process.poll() is not None)
            assert process.returncode == 0
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def test_an_unknown_command_is_answered(generator: Generator) -> None:
    """A generator of another version says what it does not know, and goes on."""
    generator._child.send({"do": "dance"})
    answer = generator._child.event(10.0)
    assert answer["event"] == "failed"
    assert "unknown command" in answer["error"]


def test_a_command_out_of_turn_is_refused(generator: Generator) -> None:
    """A Slice without a Block, what only a master does, and a second load beside the first, which
    goes on untouched."""
    for command, why in (
        (Visit("aiohttp", 0.1, Phase.MEASURED), "there is no Block under way"),
        (Gather(1.0), "this process does not take Gather"),
    ):
        generator.send(command)
        with pytest.raises(HarnessError, match=why):
            generator.expect(Finished, 30.0)
    with counting_server() as fresh:
        load = OfferLoad(spec(fresh, closed("/now", 1)))
        generator.send(load)
        generator.send(load)
        events: list[GeneratorEvent | None] = []
        while not events or (events[-1] is not None and not isinstance(events[-1], Finished)):
            events.append(generator.next_event(30.0))
            if isinstance(events[-1], WindowClosed):
                generator.send(Release())
    refused = [event.error for event in events if isinstance(event, Failed)]
    assert refused == ["a load is under way already"]
    last = events[-1]
    assert isinstance(last, Finished)
    assert begun(last.report, "warmup") + begun(last.report, "measured") == fresh.total
