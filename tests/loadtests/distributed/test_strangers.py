"""Who reaches the port of a master and is none of its workers; and the key that keeps them out."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq
from click.testing import CliRunner

from loopbench.loadtests.cli import cli
from loopbench.loadtests.distributed.fleet import Fleet, FleetGenerator, fleet_process
from loopbench.loadtests.distributed.keys import make_key, read_key
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.services.free_port import free_port
from tests.loadtests.distributed.test_joining import Worker
from tests.loadtests.generator.counting import Counting
from tests.loadtests.generator.loads import begun, closed, spec
from tests.servers.processes import needs_proc

pytestmark = needs_proc

NAME = "stranger"
OUR_VERSION = "2.47.0"


def packed(*envelope: Any) -> list[bytes]:
    return [msgpack.packb(envelope)]


MESSAGES: dict[str, list[bytes]] = {
    "an empty frame": [b""],
    "no msgpack": [b"\xc1"],
    "half a message": [msgpack.packb(("heartbeat", None, NAME))[:9]],
    "two messages in one": [b"\x01\x01"],
    "text that is no UTF-8": [b"\xa1\xff"],
    "a number": [msgpack.packb(7)],
    "two parts instead of three": packed("heartbeat", NAME),
    "four parts": packed("heartbeat", None, NAME, 1),
    "a time that is none": packed("heartbeat", {"__datetime__": True}, NAME),
    "an object that is none": packed("heartbeat", {"__ObjectId__": True, "as_str": "x"}, NAME),
    "nested too deep": [b"\x91" * 5000 + b"\x01"],
    "a list of four thousand million": [b"\xdd\xff\xff\xff\xff"],
    "a text of four thousand million": [b"\xdb\xff\xff\xff\xff"],
    "several frames": [*packed("heartbeat", None, NAME), b""],
    "another sender": packed("quit", None, "somebody-else"),
    "a number as sender": packed("spawning", None, 7),
    "a list as sender": packed("client_stopped", None, [NAME]),
    "a number as type": packed(7, None, NAME),
    "a list as type": packed([], None, NAME),
    "an unknown type": packed("x" * 10_000, None, NAME),
    "a request for files": packed("locustfile", {"version": OUR_VERSION}, NAME),
    "a version that is a number": packed("client_ready", 5, NAME),
    "no version": packed("client_ready", None, NAME),
    "another version": packed("client_ready", "1.0.0", NAME),
    "ready": packed("client_ready", OUR_VERSION, NAME),
    "ready again": packed("client_ready", OUR_VERSION, NAME),
    "a heartbeat without data": packed("heartbeat", None, NAME),
    "a load that is a text": packed(
        "heartbeat", {"state": [], "current_cpu_usage": "x", "current_memory_usage": 0}, NAME
    ),
    "statistics that are none": packed("stats", 3, NAME),
    "users that are none": packed("spawning_complete", None, NAME),
    "an exception that is none": packed("exception", None, NAME),
    "logs that are none": packed("logs", 3, NAME),
    "a greeting that is none": packed("loopbench.hello", None, NAME),
    "a greeting without a version": packed("loopbench.hello", {}, NAME),
    "an answer to nothing": packed("loopbench.pong", None, NAME),
    "an arrival": packed("loopbench.connected", {}, NAME),
    "a failure": packed("loopbench.share-failed", [1], NAME),
    "a report that is none": packed("stats", {"loopbench": 3}, NAME),
    "leaving": packed("quit", None, NAME),
    "leaving again": packed("client_stopped", None, NAME),
}
"""What a stranger may send, in this order, from one connection."""


def no_zeromq(port: int) -> list[socket.socket]:
    """Connections that are no ZeroMQ's: nothing, a request, a frame of a length that nobody has,
    and a handshake that stops half-way. Returned open."""
    greeting = b"\xff" + b"\0" * 7 + b"\x01\x7f" + b"\x03\x01NULL" + b"\0" * 48
    assert len(greeting) == 64
    for_ever = greeting + b"\x06" + b"\x7f" + b"\xff" * 7
    opened = []
    for content in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, greeting, for_ever):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(content)
        opened.append(connection)
    return opened


@pytest.fixture
def stranger() -> Iterator[Callable[[int], zmq.Socket[bytes]]]:
    """Connects to a master as a worker does, and speaks ZeroMQ without a key."""
    with ExitStack() as cleanup:

        def connect(port: int) -> zmq.Socket[bytes]:
            context = cleanup.enter_context(zmq.Context())
            peer = cleanup.enter_context(context.socket(zmq.DEALER))
            peer.linger = 0
            peer.rcvtimeo = 30_000
            peer.identity = NAME.encode()
            peer.connect(f"tcp://127.0.0.1:{port}")
            return peer

        yield connect


def joined(cleanup: ExitStack, fleet: Fleet, notes: list[str]) -> FleetGenerator:
    return cleanup.enter_context(fleet_process(fleet, cpus=[], log=None, say=notes.append))


def test_a_master_without_a_key_survives_strangers(
    tmp_path: Path, server: Counting, stranger: Callable[[int], zmq.Socket[bytes]]
) -> None:
    """Each message and each kind of connection; then its own worker carries out a load. A worker
    that has a key does not join."""
    notes: list[str] = []
    port = free_port()
    with ExitStack() as cleanup:
        worker = Worker(cleanup, tmp_path, port)
        needless = Worker(cleanup, tmp_path, port, key_file=make_key(tmp_path / "key"))
        made = joined(cleanup, Fleet(1, f"127.0.0.1:{port}", remote=True), notes)
        peer = stranger(port)
        for connection in no_zeromq(port):
            cleanup.enter_context(connection)
        for frames in MESSAGES.values():
            peer.send_multipart(frames)
        peer.send_multipart(packed("client_ready", OUR_VERSION, NAME))
        # To a version of another kind, ready twice, and at the end: all has been read by then.
        answers: Counter[str] = Counter()
        while answers["ack"] < 4:
            answers[msgpack.loads(peer.recv())[0]] += 1
        report = made.load(
            spec(server, closed("/now", 4)), bound_s=30.0, at={}, give_up=lambda: False
        )
        assert begun(report, "measured") > 0
        (row,) = report.workers
        assert row.pid == worker.process.pid and row.gone is None
        made.await_workers(5.0)
        assert needless.process.wait(30) == 1
        assert needless.last_line.endswith("; is --key-file a copy of the bench's own?")
    assert any(note.startswith("a message was refused: it is no envelope") for note in notes)
    assert worker.process.wait(30) == 0


def test_a_key_keeps_strangers_out(
    tmp_path: Path, server: Counting, stranger: Callable[[int], zmq.Socket[bytes]]
) -> None:
    """A worker without the key and a master without it each end a worker in one line; nothing that
    a stranger sends is read; the worker that has a copy of the key carries out the load."""
    notes: list[str] = []
    port, key = free_port(), make_key(tmp_path / "key")
    copy = tmp_path / "copy"
    copy.touch(0o600)
    copy.write_text(key.read_text())
    with ExitStack() as cleanup:
        bare = Worker(cleanup, tmp_path, port)
        worker = Worker(cleanup, tmp_path, port, key_file=copy)
        fleet = Fleet(1, f"127.0.0.1:{port}", remote=True, key_file=key)
        made = joined(cleanup, fleet, notes)
        peer = stranger(port)
        for connection in no_zeromq(port):
            cleanup.enter_context(connection)
        # Where the stranger's side is the first to read that a key is demanded, ZeroMQ gives the
        # connection up: what is sent then would wait for another one for ever.
        with suppress(zmq.Again):
            for frames in MESSAGES.values():
                peer.send_multipart(frames, zmq.NOBLOCK)
        assert bare.process.wait(30) == 1
        assert re.fullmatch(
            rf"worker: the master at 127\.0\.0\.1:{port} (demands a key|breaks off every connection"
            "); name a copy of the bench's key file with --key-file",
            bare.last_line,
        )
        report = made.load(
            spec(server, closed("/now", 4)), bound_s=30.0, at={}, give_up=lambda: False
        )
        assert begun(report, "measured") > 0
        assert [row.pid for row in report.workers] == [worker.process.pid]
        made.await_workers(5.0)
        assert not peer.poll(0)  # no answer
    # One of both sides reads the other's greeting.
    refused = [note for note in notes if "refused" in note]
    assert refused in ([], ["a worker was refused: it has no key, or the bench has none"])
    assert refused or "demands a key" in bare.last_line
    assert notes[0].endswith(f"--key-file KEY, where KEY is a copy of {key}")


def test_keys_that_differ(tmp_path: Path) -> None:
    """The bench says that a worker has another key, and the worker ends after its patience, in one
    line that names the key."""
    port = free_port()
    key, other = make_key(tmp_path / "key"), make_key(tmp_path / "other")
    notes: list[str] = []
    with ExitStack() as cleanup:
        Worker(cleanup, tmp_path, port, key_file=key)
        wrong = Worker(cleanup, tmp_path, port, key_file=other)
        fleet = Fleet(1, f"127.0.0.1:{port}", remote=True, key_file=key)
        made = joined(cleanup, fleet, notes)
        assert wrong.process.wait(30) == 1
        assert wrong.last_line == (
            f"worker: the master at 127.0.0.1:{port} breaks off every connection; is --key-file a "
            "copy of the bench's own?"
        )
        made.await_workers(5.0)
    assert "a worker was refused: it has another key" in notes


def test_a_key_is_made_for_all_but_loopback(tmp_path: Path) -> None:
    """Where others reach the port, the line on how to join names a key file that only this user
    can read; it is gone with the bench."""
    port = free_port()
    notes: list[str] = []

    def say(line: str) -> None:
        notes.append(line)
        path = Path(line.rpartition(" where KEY is a copy of ")[2])
        assert len(read_key(path)) == 32 and path.stat().st_mode & 0o777 == 0o600
        raise KeyboardInterrupt

    fleet = Fleet(1, f"0.0.0.0:{port}", remote=True)
    with ExitStack() as cleanup, pytest.raises(KeyboardInterrupt):
        cleanup.enter_context(fleet_process(fleet, cpus=[], log=None, say=say))
    (line,) = notes
    assert not Path(line.rpartition(" ")[2]).exists()


@pytest.mark.parametrize(
    ("content", "mode", "cause"),
    [
        ("x" * 64, 0o600, "is no key file: it has to hold a line of 64 hexadecimal digits"),
        ("", 0o600, "is no key file"),
        ("ab" * 31, 0o600, "is no key file"),
        ("ab" * 32, 0o644, "others may read the key file"),
    ],
)
def test_files_that_are_no_keys(tmp_path: Path, content: str, mode: int, cause: str) -> None:
    """Each in one line at both ends, without what stands in the file."""
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(mode)
    for words in (
        ["worker", "--master", "127.0.0.1:9", "--key-file", str(path)],
        ["bench", "--expect-workers", "1", "--key-file", str(path), "--out", str(tmp_path / "run")],
    ):
        done = CliRunner().invoke(cli, words)
        assert isinstance(done.exception, HarnessError)
        assert cause in str(done.exception)
        assert not content or content not in str(done.exception)
    assert not (tmp_path / "run").exists()


def test_a_key_file_that_is_missing(tmp_path: Path) -> None:
    """A worker says so, since it needs a copy; a bench writes a new one, and never over another."""
    path = tmp_path / "key"
    done = CliRunner().invoke(cli, ["worker", "--master", "127.0.0.1:9", "--key-file", str(path)])
    assert str(done.exception) == f"cannot read the key file {path}: No such file or directory"
    make_key(path)
    with pytest.raises(HarnessError, match="cannot write the key file"):
        make_key(path)
