"""A server whose requests wait for a pool of threads, each of which they hold for an exact time.

`python -m loopbench.loadtests.selfcheck.seeds.thread_pool THREADS MICROSECONDS [CPU]...` prints its
port, and serves on these CPUs until its standard input is closed. The threads sleep. One that woke
late took that time from no request: the next one began when the last should have ended.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from queue import SimpleQueue

from loopbench.loadtests.selfcheck.seeds.one_thread import Clients
from loopbench.servers.supervision.os_stats import pin

Waiting = SimpleQueue[tuple[int, float] | None]
"""Connections that wait for an answer, and since when; None ends a thread."""


def work(waiting: Waiting, clients: Clients, hold_s: float) -> None:
    """One thread of the pool."""
    free_s = 0.0
    while (asked := waiting.get()) is not None:
        descriptor, since_s = asked
        free_s = max(free_s, since_s) + hold_s
        time.sleep(max(0.0, free_s - time.perf_counter()))
        clients.answer(descriptor)


def serve(listener: socket.socket, threads: int, hold_s: float, ends: int) -> None:
    """Until the descriptor `ends` can be read."""
    clients = Clients(listener)
    clients.watch(ends)
    waiting: Waiting = SimpleQueue()
    pool = [threading.Thread(target=work, args=(waiting, clients, hold_s)) for _ in range(threads)]
    for thread in pool:
        thread.start()
    while True:
        ready = clients.ready(wait=True)
        if ends in ready:
            break
        for descriptor in ready:
            if clients.asked(descriptor):
                waiting.put((descriptor, time.perf_counter()))
    for _ in pool:
        waiting.put(None)


def main() -> None:
    """On a free port of loopback."""
    threads, hold_us, *cpus = sys.argv[1:]
    if cpus:
        pin(frozenset(map(int, cpus)))
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        print(listener.getsockname()[1], flush=True)
        serve(listener, int(threads), float(hold_us) * 1e-6, sys.stdin.fileno())


if __name__ == "__main__":
    main()
