"""A client in a process of its own, which shares no interpreter's lock with the server."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

from loopbench.loadtests.behaviour.talking import get


@contextmanager
def beside(client: Callable[[Connection], None]) -> Iterator[Connection]:
    """Run `client` there; the two talk through the connection, which ends it when it is closed.

    To be begun before there is any thread.
    """
    context = multiprocessing.get_context("fork")
    ours, its = context.Pipe()
    process = context.Process(target=_live, args=(client, ours, its), daemon=True)
    process.start()
    its.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()


def _live(client: Callable[[Connection], None], ours: Connection, its: Connection) -> None:
    ours.close()  # or it would never be told that the other side has closed
    with suppress(EOFError):
        client(its)


def asking(parent: Connection) -> None:
    """A client that asks for / again and again, until it is told to stop.

    Receives the port; sends, for every answer, when it was asked for and when it was there, by
    perf_counter, which all processes of a machine share.
    """
    times: list[tuple[float, float]] = []
    port = parent.recv()
    while not parent.poll():
        asked = time.perf_counter()
        get(port, "/")
        times.append((asked, time.perf_counter()))
        if len(times) == 1:
            parent.send("asking")
    parent.recv()
    parent.send(times)
