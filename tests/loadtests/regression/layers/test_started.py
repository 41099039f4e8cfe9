"""Servers as their own commands start them: what the kernel and a client see of their sockets."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.regression import small_apps
from loopbench.loadtests.regression.layers import limits, listening, started
from loopbench.loadtests.regression.layers.started import AT_ONCE, DELAYED, Command
from loopbench.loadtests.regression.sides.processes import background, ended
from loopbench.loadtests.regression.sides.sides import Role, Side, look
from loopbench.results.schema.regression import UNKNOWN
from loopbench.servers.stacks import STACKS
from tests.conftest import ROOT
from tests.loadtests.regression.trees import rows_of

MINUTE_S = 60

LIMITS = {
    "aiohttp": {
        "bytes of a body": "1048576",
        "bytes of a form's field": "1048574",
        "bytes of a part of a form": "1048502",
        "parts of a form": "1000",
    },
    "asgi-hypercorn": {"bytes of a body": "1200000 or more"},
}
"""aiohttp takes a body of 1 MiB (`client_max_size`), whatever else stands in it."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


@pytest.fixture(scope="module")
def side() -> Side:
    """This tree."""
    return look(Role.BASE, "x", ROOT, Path(sys.executable), ["aiohttp"])


def _facts(side: Side, stack: str, command: Command, folder: Path) -> dict[str, str]:
    rows = rows_of(started.measure(side, {stack: [command]}, folder / "log", Patience()))
    assert {(row["stack"], row["subject"]) for row in rows} == {(stack, command.subject)}
    return {str(row["fact"]): str(row["value"]) for row in rows}


@pytest.mark.parametrize(
    ("stack", "subject", "sockets"),
    [
        ("aiohttp", "started by aiohttp.web", ("128", "no")),
        ("asgi-hypercorn", "started by hypercorn with workers", ("100", "yes")),
    ],
)
def test_a_command_is_asked_what_its_sockets_do(
    side: Side, tmp_path: Path, stack: str, subject: str, sockets: tuple[str, str]
) -> None:
    """Its own backlog (aiohttp 128, Hypercorn 100), Hypercorn's SO_REUSEPORT with workers, and
    answers that come at once, since both set TCP_NODELAY. Nothing is left of it."""
    (command,) = [one for one in started.commands_of(STACKS[stack]) if one.subject == subject]
    assert _facts(side, stack, command, tmp_path) == {
        "starts": "yes",
        **dict.fromkeys((*started.facts_of("whole"), *started.facts_of("pieces")), AT_ONCE),
        "backlog": sockets[0],
        "listening sockets": "1",
        "SO_REUSEPORT": sockets[1],
        **LIMITS[stack],
    }


def test_limits_that_nobody_has_set_are_the_frameworks(
    side: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quart, by Werkzeug, takes 500,000 bytes of a form's part (`MAX_FORM_MEMORY_SIZE`), and 1,000
    parts (`MAX_FORM_PARTS`). Only the first command of a stack is asked."""
    facts = {"bytes of a part of a form": "500000", "parts of a form": "1000"}
    monkeypatch.setattr(limits, "BODIES", {fact: limits.BODIES[fact] for fact in facts})
    monkeypatch.setattr(started, "QUESTIONS", (started._limits,))
    asked = list(started.commands_of(STACKS["quart-hypercorn"]))
    rows = rows_of(started.measure(side, {"quart-hypercorn": asked}, tmp_path / "log", Patience()))
    first, second = (one.subject for one in asked)
    assert [(row["subject"], row["fact"], row["value"]) for row in rows] == [
        (first, "starts", "yes"),
        *((first, fact, value) for fact, value in facts.items()),
        (second, "starts", "yes"),
    ]


def test_a_command_that_does_not_start_is_a_fact(side: Side, tmp_path: Path) -> None:
    """Its reason stands in the log."""
    assert _facts(side, "aiohttp", Command("x", "no_such_server"), tmp_path) == {"starts": "no"}
    assert "no_such_server" in (tmp_path / "log").read_text()


def test_only_the_subjects_that_are_wanted_are_asked(side: Side, tmp_path: Path) -> None:
    """Those that differed, when they are asked for again."""
    asked = {"aiohttp": [Command("one", "no_such_server"), Command("other", "no_such_server")]}
    rows = rows_of(
        started.measure(side, asked, tmp_path / "log", Patience(), {("aiohttp", "other")})
    )
    assert [row["subject"] for row in rows] == ["other"]


@contextmanager
def _serving(pieces: Sequence[bytes], at_once: bool) -> Iterator[int]:
    """A server of one connection that sends these pieces, with or without TCP_NODELAY; its port."""

    def serve() -> None:
        with closing(listener.accept()[0]) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, at_once)
            while connection.recv(65536):
                for piece in pieces:
                    connection.sendall(piece)

    with socket.create_server((started.HOST, 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        yield listener.getsockname()[1]
        server.join()


@pytest.mark.alone
@pytest.mark.parametrize(
    ("pieces", "at_once", "held"),
    [
        ([HEAD, b"abcd"], False, True),
        ([HEAD, b"abcd"], True, False),
        ([HEAD + b"abcd"], False, False),
    ],
)
def test_an_answer_in_pieces_without_nodelay_waits_for_the_acknowledgement(
    pieces: Sequence[bytes], at_once: bool, held: bool
) -> None:
    """Most answers behind the first one do: by Linux's own timer. Beside other tests it was once
    six of twenty, so that nothing may run beside it."""
    with _serving(pieces, at_once) as port:
        readings = started._readings("pieces", started.Started(os.getsid(0), port, Patience()))
    assert len(readings) == started.LAST
    if held:
        assert sum(one.took_ms >= started.HELD_MS for one in readings) > started.LAST / 2
    else:
        assert sum(one.delayed is True for one in readings) < started.LAST / 2


@pytest.mark.parametrize(
    ("decided", "enough", "value"),
    [
        ([], False, UNKNOWN),
        ([False] * 2, False, UNKNOWN),
        ([False] * 3, True, AT_ONCE),
        ([True] + [False] * 3, False, AT_ONCE),
        ([True] + [False] * 4, True, AT_ONCE),
        ([True] * 2 + [False] * 2, False, UNKNOWN),
        ([True] * 3 + [False] * 2, True, DELAYED),
        ([True] * 5, True, DELAYED),
    ],
)
def test_one_delayed_answer_decides_nothing(decided: list[bool], enough: bool, value: str) -> None:
    """It is asked again, and the majority of five decides."""
    assert started._enough(decided) is enough
    assert started._majority(decided) == value


@pytest.mark.parametrize(
    ("took_ms", "waited_ms", "delayed"), [(5.0, 0.0, False), (44.0, 4.0, True), (44.0, 30.0, None)]
)
def test_a_wait_for_a_cpu_is_no_delay(
    took_ms: float, waited_ms: float, delayed: bool | None
) -> None:
    """Where it may be all of it, the reading says nothing."""
    assert started.Reading(took_ms, waited_ms).delayed is delayed


def test_what_the_kernel_says_of_listening_sockets() -> None:
    """Each with its own backlog, and whether others may listen beside it."""
    session = os.getsid(0)
    with ExitStack() as cleanup:
        one = cleanup.enter_context(socket.create_server((started.HOST, 0), backlog=7))
        port = one.getsockname()[1]
        assert listening.backlogs(port) == [7]
        assert len(listening.sockets(session, port)) == 1
        assert not listening.shared(started.HOST, port)
        several = [cleanup.enter_context(socket.socket()) for _ in range(2)]
        for backlog, other in enumerate(several, start=3):
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind((started.HOST, several[0].getsockname()[1]))
            other.listen(backlog)
        port = several[0].getsockname()[1]
        assert sorted(listening.backlogs(port)) == [3, 4]
        assert len(listening.sockets(session, port)) == 2
        assert listening.shared(started.HOST, port)
    assert not listening.backlogs(port) and not listening.sockets(session, port)


@pytest.mark.parametrize(("limit", "told"), [(8, "7"), (7, UNKNOWN)])
def test_a_backlog_that_the_machine_has_cut_is_not_known(
    limit: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel then tells its own limit, which a baseline of another machine may not have."""
    monkeypatch.setattr(listening, "limit", lambda: limit)
    with socket.create_server((started.HOST, 0), backlog=7) as one:
        port = one.getsockname()[1]
        found = started._backlog(started.Started(os.getsid(0), port, Patience()))
        assert dict(found) == {"backlog": told}


def test_nothing_is_left_of_a_server_and_its_workers(tmp_path: Path) -> None:
    """Its child, too, which does not hear the signal, and would live for a minute; what they
    printed is in the log."""
    child = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); "
        f"time.sleep({MINUTE_S})"
    )
    text = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"time.sleep({MINUTE_S})\n"
    )
    log = tmp_path / "log"
    began = time.monotonic()
    with background([sys.executable, "-c", text], tmp_path, log) as process:
        while log.read_bytes() != b"1\n":
            assert ended(process) is None
            time.sleep(0.01)
        assert len(listening.processes(process.pid)) == 2
    assert process.returncode == -15
    while listening.processes(process.pid):  # the kernel has not yet ended what was killed
        assert time.monotonic() - began < MINUTE_S
        time.sleep(0.01)


def test_a_command_whose_package_one_side_lacks_is_not_asked(side: Side, tmp_path: Path) -> None:
    """Of either side, and it is named; an interpreter without any packages lacks them all."""
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    both = started.commands(("aiohttp", "asyncio"), [side, side])
    assert [one.package for one in both.asked["aiohttp"]] == ["aiohttp", "gunicorn"]
    assert not both.lacking and "asyncio" not in both.asked
    one_only = started.commands(("aiohttp",), [side, replace(side, python=bare)])
    assert not one_only.asked
    assert one_only.lacking == (
        ("aiohttp", "started by aiohttp.web", "aiohttp"),
        ("aiohttp", "started by gunicorn with workers", "gunicorn"),
    )


def test_every_command_of_the_table_can_be_written_out() -> None:
    """With the application of its framework; only the yardstick has no command."""
    folder = Path(small_apps.__file__).parent
    for name, stack in STACKS.items():
        commands = list(started.commands_of(stack))
        assert bool(commands) is not stack.yardstick, name
        assert len({one.subject for one in commands}) == len(commands)
        for one in commands:
            words = one.words.format(module="M", host="H", port=1, loop=stack.loop)
            assert words.split()[0].isidentifier() or words.startswith("aiohttp.web ")
            assert "{" not in words
        if commands:
            assert (folder / f"{started._MODULES[stack.framework]}.py").is_file()
