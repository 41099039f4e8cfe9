"""Ports for servers that must be told theirs before they listen."""

from __future__ import annotations

import random
import socket

_PORTS = range(20_000, 32_000)
"""Below those that Linux, macOS and Windows give to clients and to port 0 by themselves: one of
those could be taken between the look and the use."""

_LOOKS = 100


def free_port(host: str = "127.0.0.1") -> int:
    """A port of the host that nobody listens on, taken at random.

    Raises OSError where none was found.
    """
    for port in random.SystemRandom().sample(_PORTS, _LOOKS):
        with socket.socket() as probe:
            # As servers do it: a connection that has ended does not keep the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"{_LOOKS} ports of {host} were tried and none was free")
