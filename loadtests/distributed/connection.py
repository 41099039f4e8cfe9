"""The connection between master and workers: Locust's, closed to whoever has not the key.

Locust's messages are msgpack in ZeroMQ frames, with no authentication. With a key both sides
speak CURVE, ZeroMQ's own encryption (RFC 26/CurveZMQ): each side derives the key pairs of master
and workers from the shared secret, so that each knows the other. A peer that has another secret
does not get through the handshake, which the library does: nothing that it sends is unpacked.
Without a key, as on loopback, whatever comes is taken as a stranger's until it looks like a
message of a worker.
"""

from __future__ import annotations

import locust  # noqa: F401 isort: skip  (first: importing it patches the standard library)

import hmac
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import zmq.green as zmq
from locust.exception import RPCError
from locust.rpc import protocol, zmqrpc
from zmq.utils import z85

MOST_MESSAGE_BYTES = 64 * 1024 * 1024
"""A report is some hundred kilobytes. The library would reserve what a stranger announces."""

_ADMISSION = "inproc://zeromq.zap.01"
"""Where the library asks who may connect (RFC 27/ZAP)."""

_OTHER_MECHANISM = zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
_OTHER_KEY = zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC
_Zmq: Any = zmqrpc  # of Locust's, which have no types
_Envelope: Any = protocol.Message

_EVENT = struct.Struct("=Hi")
"""zmq_socket_monitor(3): the number of the event, and a value that says more."""

HandshakeFailure = tuple[int, int]
"""An event's number and value."""


class BadMessage(Exception):
    """A message that no worker sends; its text says why."""


def _key_pair(secret: bytes, of: str) -> tuple[bytes, bytes]:
    """Public and secret key of `master` or `worker`, as ZeroMQ writes them."""
    own = z85.encode(hmac.digest(secret, f"loopbench {of}".encode(), "sha256"))
    return zmq.curve_public(own), own


class MasterSocket(_Zmq.Server):  # type: ignore[misc]
    """Locust's `Server` with a key, where there is one.

    refused: called with why, when a peer did not get through the handshake.
    """

    def __init__(
        self, secret: bytes | None, refused: Callable[[str], None], host: str, port: int
    ) -> None:
        _Zmq.BaseSocket.__init__(self, zmq.ROUTER, self.ipv4_only(host, port))
        self.socket.setsockopt(zmq.MAXMSGSIZE, MOST_MESSAGE_BYTES)
        if secret is not None:
            self.socket.curve_server = True
            self.socket.curve_secretkey = _key_pair(secret, "master")[1]
            gevent.spawn(self._admit, z85.decode(_key_pair(secret, "worker")[0]))
            gevent.sleep(0)  # it has to listen before the first peer comes
        _watch(self.socket, partial(_why_refused, refused))
        try:
            if port == 0:
                self.port = self.socket.bind_to_random_port(f"tcp://{host}")
            else:
                self.socket.bind(f"tcp://{host}:{port}")
                self.port = port
        except zmq.ZMQError as error:
            raise RPCError(str(error)) from error

    def _admit(self, worker_key: bytes) -> None:
        """Answer the library's question about each peer that has finished the handshake."""
        questions = self.socket.context.socket(zmq.REP)
        questions.bind(_ADMISSION)
        while True:
            version, number, *_, shown = questions.recv_multipart()
            known = hmac.compare_digest(shown, worker_key)
            answer = (b"200", b"OK") if known else (b"400", b"another key")
            questions.send_multipart([version, number, *answer, b"", b""])

    def recv_from_client(self) -> tuple[str, Any]:
        """The next message and the name of its connection. Raises BadMessage."""
        name, *frames = self.socket.recv_multipart()
        if len(frames) != 1:
            raise BadMessage(f"it has {len(frames)} frames instead of one")
        try:
            sender = name.decode()
            message = _Envelope.unserialize(frames[0])
        except Exception as error:  # whatever msgpack, and Locust's hook in it, make of bytes
            raise BadMessage(f"it is no envelope of Locust's ({type(error).__name__})") from error
        if not isinstance(message.type, str) or message.node_id != sender:
            raise BadMessage("it does not come from whom it names")
        return sender, message


class WorkerSocket(_Zmq.Client):  # type: ignore[misc]
    """Locust's `Client` with a key, where there is one.

    broken: called with each handshake that failed.
    """

    def __init__(
        self,
        secret: bytes | None,
        broken: Callable[[HandshakeFailure], None],
        host: str,
        port: int,
        identity: str,
    ) -> None:
        _Zmq.BaseSocket.__init__(self, zmq.DEALER, self.ipv4_only(host, port))
        self.socket.setsockopt(zmq.IDENTITY, identity.encode())
        if secret is not None:
            self.socket.curve_serverkey = _key_pair(secret, "master")[0]
            self.socket.curve_publickey, self.socket.curve_secretkey = _key_pair(secret, "worker")
        _watch(self.socket, broken)
        self.socket.connect(f"tcp://{host}:{port}")


def listen_with(secret: bytes | None, refused: Callable[[str], None]) -> None:
    """Have Locust's master take MasterSocket. It makes its socket itself, by this name."""
    _Zmq.Server = partial(MasterSocket, secret, refused)


def join_with(secret: bytes | None, broken: Callable[[HandshakeFailure], None]) -> None:
    """Have Locust's worker take WorkerSocket, in the same way."""
    _Zmq.Client = partial(WorkerSocket, secret, broken)


def is_other_mechanism(event: HandshakeFailure) -> bool:
    """Whether one side has a key and the other none."""
    return event == (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, _OTHER_MECHANISM)


def _why_refused(refused: Callable[[str], None], event: HandshakeFailure) -> None:
    kind, value = event
    if is_other_mechanism(event):
        refused("it has no key, or the bench has none")
    elif kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH or value == _OTHER_KEY:
        refused("it has another key")


def _watch(socket: Any, failed: Callable[[HandshakeFailure], None]) -> None:
    """Call `failed` with each handshake that fails, as long as the socket is open."""
    stopped = zmq.EVENT_MONITOR_STOPPED
    events = socket.get_monitor_socket(
        stopped
        | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        | zmq.EVENT_HANDSHAKE_FAILED_AUTH
        | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    )

    def watch() -> None:
        while (failure := _EVENT.unpack(events.recv_multipart()[0]))[0] != stopped:
            failed(failure)
        events.close()

    gevent.spawn(watch)
