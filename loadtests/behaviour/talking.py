"""What clients talk with: bytes over a Wire, a WebSocket by hand; and what servers report back."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, NoAnswer, Reply, Wire, get

__all__ = ["Leaving", "NoAnswer", "Reply", "Seen", "Wire", "get", "shake_hands", "until_closed"]


def shake_hands(wire: Wire, target: str = "/ws") -> bytes:
    """Ask for a WebSocket; the head of the answer. Raises NoAnswer."""
    upgrade = (("Connection", "Upgrade"), ("Upgrade", "websocket"))
    key = (("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="))
    wire.request("GET", target, (*upgrade, *key))
    return wire.head()


def until_closed(wire: Wire) -> bytes:
    """What a WebSocket says until it closes, the closing answered. Raises NoAnswer."""
    said = b""
    while b"\x88" not in said and (more := wire.some()):
        said += more
    wire.send(b"\x88\x80\0\0\0\0")  # the closing frame
    return said
