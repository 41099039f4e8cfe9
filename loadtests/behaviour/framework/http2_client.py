"""A client of HTTP/2 without TLS, for what Hypercorn answers; and many requests at once."""

from collections.abc import Sequence

import h2.connection
import h2.events

from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire, head

Client = h2.connection.H2Connection
"""It has not begun to speak when it is made."""


def connected() -> Client:
    """A client that knows already that the server speaks HTTP/2; nothing is sent yet."""
    client = Client()
    client.initiate_connection()
    return client


def ask(client: Client, target: str) -> None:
    """Begin a stream that asks for `target`."""
    named = {":method": "GET", ":path": target, ":scheme": "http", ":authority": "localhost"}
    client.send_headers(client.get_next_available_stream_id(), [*named.items()], end_stream=True)


def finish(wire: Wire, client: Client, streams: int, received: bytes) -> list[tuple[str, bytes]]:
    """Status and body of so many streams, in the order in which they ended.

    received: what has been read of the connection already. Raises NoAnswer: with what the server
    says in place of HTTP/2, where it does not speak it.
    """
    statuses: dict[int, str] = {}
    bodies: dict[int, bytes] = {}
    ended: list[int] = []
    while True:
        if not received:
            raise NoAnswer("the server closed in the middle of HTTP/2")
        if received.startswith(b"HTTP/1"):
            raise NoAnswer(received.split(b"\r\n")[0].decode())
        for event in client.receive_data(received):
            if isinstance(event, h2.events.ResponseReceived):
                statuses[event.stream_id] = dict(event.headers)[b":status"].decode()
            elif isinstance(event, h2.events.DataReceived):
                bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
            elif isinstance(event, h2.events.StreamEnded):
                ended.append(event.stream_id)
        wire.send(client.data_to_send())
        if len(ended) == streams:
            return [(statuses[stream], bodies.get(stream, b"")) for stream in ended]
        received = wire.some()


def pipelined(wire: Wire, targets: Sequence[str]) -> list[str]:
    """Over HTTP/1.1, ask for all targets at once; the bodies as they come. Raises NoAnswer."""
    wire.send(b"".join(head("GET", target) for target in targets))
    return [wire.answer().text for _ in targets]


def in_streams(wire: Wire, targets: Sequence[str]) -> list[str]:
    """The same over HTTP/2, a stream each."""
    client = connected()
    for target in targets:
        ask(client, target)
    wire.send(client.data_to_send())
    return [body.decode() for _, body in finish(wire, client, len(targets), wire.some())]
