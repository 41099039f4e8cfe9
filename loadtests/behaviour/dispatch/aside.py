"""A port for a server that has to be told one, and takes its time to listen on it."""

from __future__ import annotations

import random
import socket

PORTS = range(20_000, 32_000)
"""Below those that Linux and macOS give out by themselves, so that no other experiment that
runs meanwhile is given one of them."""


def port_aside() -> int:
    """One of PORTS that nobody listens on. Raises OSError where none can be had."""
    for port in random.sample(PORTS, 20):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError as error:
            taken = error
    raise taken
