"""A network cable in user space, with delay and loss: for kernels without `netem`.

`python cable.py NAME NAME` makes two TAP interfaces and carries Ethernet frames between them
as told by JSON lines on standard input: `{"delay_ms": 5, "loss": 0.01}`. It ends with that pipe.
"""

from __future__ import annotations

import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time
from contextlib import suppress
from itertools import count

_TUNSETIFF = 0x400454CA  # <linux/if_tun.h>
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_FRAME_BYTES = 65_536


def tap(name: str) -> int:
    """A new TAP interface; it is there as long as the descriptor is open."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return fd


def carry(ends: list[int]) -> None:
    """Until the end of file on standard input."""
    delay_s, loss = 0.0, 0.0
    numbers, chance = count(), random.Random(1)
    under_way: list[tuple[float, int, int, bytes]] = []
    while True:
        wait_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        ready, _, _ = select.select([0, *ends], [], [], wait_s)
        for fd in ready:
            if fd == 0:
                line = os.read(0, 4096)
                if not line:
                    return
                told = json.loads(line)
                delay_s, loss = told["delay_ms"] / 1000, told["loss"]
                continue
            frame, arrived = os.read(fd, _FRAME_BYTES), time.monotonic()
            if chance.random() >= loss:
                other = ends[1 - ends.index(fd)]
                heapq.heappush(under_way, (arrived + delay_s, next(numbers), other, frame))
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, fd, frame = heapq.heappop(under_way)
            with suppress(OSError):  # the other end is down: a frame lost
                os.write(fd, frame)


if __name__ == "__main__":
    made = [tap(name) for name in sys.argv[1:3]]
    print("made", flush=True)
    carry(made)
