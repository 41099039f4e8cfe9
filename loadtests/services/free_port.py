"""Ports for servers that must be told theirs before they listen."""

from __future__ import annotations

import os
import socket
from itertools import count

_PORTS = range(20_000, 32_000)
"""Below those that Linux, macOS and Windows give to clients and to port 0 by themselves: one of
those could be taken between the look and the use."""

_LOOKS = 100
_A_PROCESS = 4
"""How many ports belong to one process id; processes whose ids are 3,000 apart share theirs."""

_FAR = 1499
"""Who needs more goes on with those of a process id that is so much higher, which hardly belongs to
a process that runs at the same time and was started by the same command."""

_asked = count()


def free_port(host: str = "127.0.0.1") -> int:
    """A port of the host that nobody listens on.

    This process is not given it again before all others were given. Another process that asks
    before somebody listens on it is given others, by its own id. Raises OSError where none of 100
    was free.
    """
    for _ in range(_LOOKS):
        turn, place = divmod(next(_asked), _A_PROCESS)
        port = _PORTS[((os.getpid() + turn * _FAR) * _A_PROCESS + place) % len(_PORTS)]
        try:
            # As servers do it: a connection that has ended does not keep the port.
            with socket.create_server((host, port)):
                return port
        except OSError as error:
            taken = error
    raise OSError(f"{_LOOKS} ports of {host} were tried and none was free") from taken
