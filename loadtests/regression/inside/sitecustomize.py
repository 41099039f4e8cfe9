"""Runs as Python starts, in a server of whichever tree, and answers how much memory it holds.

It is asked over a socket whose path stands in a variable of the environment. What nobody holds any
more is collected first, and given back to the system, so that a reading is of what is kept. It
imports nothing of the suite, since the server may be of another tree.
"""

import gc
import os
import socket
import sys
import threading
from contextlib import suppress

VARIABLE = "LOOPBENCH_HEAP_SOCKET"


def _read() -> str:
    """Blocks that Python's allocator has given out, and bytes that are resident."""
    gc.collect()
    _trim()
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return f"{sys.getallocatedblocks()} {resident}\n"


def _trim() -> None:
    """What malloc keeps for later goes back to the system; other C libraries have no such call."""
    import ctypes

    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _answer(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            asking, _ = listener.accept()
            with asking:
                asking.sendall(_read().encode())


if VARIABLE in os.environ:
    threading.Thread(target=_answer, args=(os.environ.pop(VARIABLE),), daemon=True).start()
