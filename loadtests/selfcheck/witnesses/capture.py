"""Packets of one connection's requests and answers, from a capture by tcpdump."""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loopbench.loadtests.errors import HarnessError

_NANOSECOND_MAGIC = 0xA1B23C4D
_GLOBAL_HEADER = struct.Struct("<IHHiIII")
_PACKET_HEADER = struct.Struct("<IIII")
_ETHERNET_BYTES = 14
_SNAP_BYTES = 128


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment with payload. at_ns: CLOCK_REALTIME, as the kernel stamped it."""

    at_ns: int
    to_server: bool
    client_port: int


@contextmanager
def capturing(port: int, file: Path) -> Iterator[None]:
    """Capture the loopback traffic of one port into `file`. Needs tcpdump and the right to it."""
    if shutil.which("tcpdump") is None:
        raise HarnessError("tcpdump is missing; install the package tcpdump")
    command = ["tcpdump", "-i", "lo", "-n", "-s", str(_SNAP_BYTES), "-B", "65536"]
    command += ["--time-stamp-precision=nano", "-w", str(file), f"tcp port {port}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            first = process.stderr.readline()
            if "listening" not in first:
                raise HarnessError(f"tcpdump cannot capture: {first.strip()}; run this as root")
            yield
            # The kernel hands packets over in blocks, an unfinished one after a second.
            time.sleep(1.5)
        finally:
            process.terminate()
            _, rest = process.communicate()
    dropped = [line for line in rest.splitlines() if "dropped by kernel" in line]
    if not dropped or not dropped[0].startswith("0 "):
        raise HarnessError(f"the capture is not whole: {dropped}")


def segments(file: Path, server_port: int) -> list[Segment]:
    """The segments with payload, by time. IPv4 over Ethernet framing only.

    The two directions are captured on two CPUs, so that the order in the file
    is not quite the order in time.
    """
    return sorted(_read(file, server_port), key=lambda segment: segment.at_ns)


def _read(file: Path, server_port: int) -> Iterator[Segment]:
    data = file.read_bytes()
    magic, *_ = _GLOBAL_HEADER.unpack_from(data)
    if magic != _NANOSECOND_MAGIC:
        raise HarnessError(f"{file} is no capture in nanoseconds")
    position = _GLOBAL_HEADER.size
    while position < len(data):
        seconds, nanoseconds, kept, _length = _PACKET_HEADER.unpack_from(data, position)
        position += _PACKET_HEADER.size
        packet = memoryview(data)[position : position + kept]
        position += kept
        ip = packet[_ETHERNET_BYTES:]
        ip_bytes = (ip[0] & 0x0F) * 4
        total = int.from_bytes(ip[2:4], "big")
        tcp = ip[ip_bytes:]
        source, target = int.from_bytes(tcp[0:2], "big"), int.from_bytes(tcp[2:4], "big")
        tcp_bytes = (tcp[12] >> 4) * 4
        if total > ip_bytes + tcp_bytes:
            to_server = target == server_port
            yield Segment(
                seconds * 1_000_000_000 + nanoseconds, to_server, source if to_server else target
            )


def service_times_ns(captured: Iterable[Segment]) -> dict[int, list[tuple[int, int]]]:
    """For each client port: (request's first segment, first to last segment) of every exchange."""
    exchanges: dict[int, list[tuple[int, int]]] = {}
    open_at: dict[int, tuple[int, int | None]] = {}
    for segment in captured:
        port = segment.client_port
        if segment.to_server:
            _close(exchanges, open_at, port)
            open_at[port] = (segment.at_ns, None)
        elif port in open_at:
            open_at[port] = (open_at[port][0], segment.at_ns)
    for port in list(open_at):
        _close(exchanges, open_at, port)
    return exchanges


def _close(
    exchanges: dict[int, list[tuple[int, int]]],
    open_at: dict[int, tuple[int, int | None]],
    port: int,
) -> None:
    asked, answered = open_at.pop(port, (0, None))
    if answered is not None:
        exchanges.setdefault(port, []).append((asked, answered - asked))
