"""Whether a path is a WebSocket that sends messages back."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass

from loopbench.servers.contract.frames import BrokenFrame, Frame, Op
from loopbench.servers.contract.websocket_client import NotUpgraded, Talk, talking

__all__ = ["Echo", "NotUpgraded", "echo"]

_MESSAGE = Frame(Op.TEXT, b"0:0;0:0;0:0;0:0;")
"""As a load of this kind sends them."""

_UNASKED = frozenset((Op.PING, Op.PONG))
_HEARD_S = 0.2
"""How long a message may take to reach the other connections of a chat."""


@dataclass(frozen=True, slots=True)
class Echo:
    """What a WebSocket does with a message.

    why_not: why it is not to be loaded as an echo; None where it has sent the message back.
    to_all: whether another connection was sent it, too: several users would hear each other.
    """

    why_not: str | None
    to_all: bool = False


def echo(
    host: str, port: int, path: str, bound_s: float, headers: tuple[tuple[str, str], ...] = ()
) -> Echo:
    """Send a message on one of two connections.

    bound_s: how long its answer may take. headers: sent with the upgrades. Raises
    NotUpgraded where the path is no WebSocket, and OSError.
    """
    with (
        talking(host, port, path, headers=headers) as talk,
        talking(host, port, path, headers=headers) as other,
    ):
        end = threading.Timer(bound_s, _shut_down, (talk.socket,))
        end.start()
        try:
            answer = _answered(talk)
        except BrokenFrame as error:
            return Echo(f"it is a WebSocket that sent a broken frame ({error})")
        finally:
            end.cancel()
        if answer != _MESSAGE:
            return Echo("it is a WebSocket that did not send a message back as its next one")
        heard, _, _ = select.select((other.socket,), (), (), _HEARD_S)
        return Echo(None, bool(heard))


def _answered(talk: Talk) -> Frame | None:
    """The first message after one that is sent."""
    talk.send(_MESSAGE)
    while (answer := talk.receive()) is not None and answer.op in _UNASKED:
        pass
    return answer


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # it may have ended by itself
        connection.shutdown(socket.SHUT_RDWR)
