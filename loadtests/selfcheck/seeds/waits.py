"""python -m loopbench.loadtests.selfcheck.seeds.waits COUNT: a program that only waits for events.

At each line of its standard input it calls epoll_wait so many times, MS each, and answers with the
nanoseconds that each call took by its own clock.
"""

from __future__ import annotations

import ctypes
import select
import sys
import time

MS = 5


def main() -> None:
    """Wait as often as is asked."""
    count = int(sys.argv[1])
    call = ctypes.CDLL(None).epoll_wait
    events = ctypes.create_string_buffer(64)
    with select.epoll() as epoll:
        for _ in sys.stdin:
            took_ns = []
            for _ in range(count):
                began_ns = time.perf_counter_ns()
                call(epoll.fileno(), events, 1, MS)
                took_ns.append(time.perf_counter_ns() - began_ns)
            print(*took_ns, flush=True)


if __name__ == "__main__":
    main()
