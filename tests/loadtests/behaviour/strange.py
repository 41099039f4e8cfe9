"""Experiments that do not behave, run in place of the real ones."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from loopbench.loadtests.behaviour.framework.question import Answer, Key


def misbehave(key: Key) -> Answer:
    """Do what the key's first part names; the second may be a path."""
    what, path, _ = key
    print(f"about to {what}", flush=True)
    return _WAYS[what](path)


def _answer(_: str) -> Answer:
    return Answer("fine", "nothing happened")


def _hang(path: str) -> Answer:
    """With a process of its own, which must not stay behind."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        Path(path).write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    return Answer("woke up", "")


def _leave_a_thread(_: str) -> Answer:
    threading.Thread(target=time.sleep, args=(60,)).start()
    return Answer("fine", "a thread sleeps on")


def _fail(_: str) -> Answer:
    raise ValueError("two\nlines")


def _exit(_: str) -> Answer:
    os._exit(3)


def _stop(_: str) -> Answer:
    sys.exit(2)


_WAYS = {
    "answer": _answer,
    "hang": _hang,
    "leave a thread": _leave_a_thread,
    "fail": _fail,
    "exit": _exit,
    "stop": _stop,
}
