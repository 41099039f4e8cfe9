"""What the kernel says of the sockets that a process group listens on. Linux only."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_LISTEN = 10
"""TCP_LISTEN of the kernel (tcp_states.h)."""

_SOCK_DIAG = 4
_DUMP = 0x1 | 0x300
_BY_FAMILY, _ERROR, _DONE = 20, 2, 3
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI48x")
"""struct nlmsghdr and inet_diag_req_v2 (netlink(7), sock_diag(7))."""

_PORT_AT, _BACKLOG_AT = _HEADER.size + 4, _HEADER.size + 60
"""Where inet_diag_msg has its id.idiag_sport and idiag_wqueue, which is the backlog of a socket
that listens."""


def processes(session: int) -> list[int]:
    """The pids of a session (proc(5), stat)."""
    pids = []
    for stat in _PROC.glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                pids.append(int(stat.parent.name))
    return pids


def sockets(session: int, port: int) -> frozenset[int]:
    """The inodes of the listening TCP sockets on a port that processes of the session hold."""
    there = set(_listening(port))
    if not there:  # nobody holds any, which need not be asked of each process
        return frozenset()
    held = {name for pid in processes(session) for name in _descriptors(pid)}
    return frozenset(inode for inode in there if f"socket:[{inode}]" in held)


def _descriptors(pid: int) -> Iterator[str]:
    """None of a process that has ended, or that is another user's."""
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            with suppress(FileNotFoundError):
                yield str(descriptor.readlink())


def _listening(port: int) -> Iterator[int]:
    for line in (_PROC / "net" / "tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[3], 16) == _LISTEN and fields[1].endswith(f":{port:04X}"):
            yield int(fields[9])


def limit() -> int:
    """The longest backlog that the kernel gives a socket (listen(2))."""
    return int((_PROC / "sys" / "net" / "core" / "somaxconn").read_text())


def backlogs(port: int) -> list[int]:
    """How many connections may wait for `accept` at each IPv4 socket that listens on the port.

    Raises OSError where the kernel does not tell.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as asking:
        request = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 1 << _LISTEN)
        size = _HEADER.size + len(request)
        asking.send(_HEADER.pack(size, _BY_FAMILY, _DUMP, 1, 0) + request)
        return [backlog for its_port, backlog in _answers(asking) if its_port == port]


def _answers(asking: socket.socket) -> Iterator[tuple[int, int]]:
    """Port and backlog of every listening socket."""
    while True:
        data = asking.recv(1 << 16)
        while data:
            size, kind, *_ = _HEADER.unpack_from(data)
            if kind == _DONE:
                return
            if kind == _ERROR:
                raise OSError(-struct.unpack_from("=i", data, _HEADER.size)[0], "sock_diag")
            yield (
                struct.unpack_from("!H", data, _PORT_AT)[0],
                struct.unpack_from("=I", data, _BACKLOG_AT)[0],
            )
            data = data[(size + 3) & ~3 :]


def shared(host: str, port: int) -> bool:
    """Whether another process of this user may listen on the port beside it (SO_REUSEPORT)."""
    with socket.socket() as beside:
        beside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            beside.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        return True
