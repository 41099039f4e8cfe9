"""This process's own connections, by their descriptors: for servers that do not hand them out."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

import psutil


def shut_down(port: int) -> None:
    """End every connection that was accepted on `port`, whatever is being sent on it."""
    for entry in psutil.Process().net_connections("tcp"):
        if entry.laddr.port == port and entry.status != psutil.CONN_LISTEN:
            with suppress(OSError):  # it was closed meanwhile
                with socket.socket(fileno=os.dup(entry.fd)) as connection:
                    if connection.getsockname()[1] == port:
                        connection.shutdown(socket.SHUT_RDWR)
