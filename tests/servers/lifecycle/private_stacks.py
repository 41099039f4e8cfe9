"""Stacks that misbehave, and a command to put in front of a child so that it knows them.

As a program, `private_stacks.py BEHAVIOUR PYTHON -m MODULE` runs MODULE in
this interpreter, where STACKS then has a row called `private` that the function
of this file that BEHAVIOUR names starts.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(1, os.getcwd())  # where `servers` is, as `-m` would have it

from loopbench.servers import stacks
from loopbench.servers.adapters.protocol import InForce, Serving
from loopbench.servers.settings import Settings


class Plain:
    """Answers every request with the text of `GET /plain`."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        self._over = asyncio.Event()

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        self._server.close()
        self._over.set()

    async def ended(self) -> None:
        await self._over.wait()

    def in_force(self) -> InForce:
        return {}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 12\r\nConnection: close\r\n\r\nHello, world"
    )
    await writer.drain()
    writer.close()


async def quiet(host: str, port: int, settings: Settings) -> Plain:
    return Plain(await asyncio.start_server(_answer, host, port))


async def raising(host: str, port: int, settings: Settings) -> Serving:
    raise RuntimeError("the database\nis not there")


async def leaving(host: str, port: int, settings: Settings) -> Serving:
    raise SystemExit("no configuration")


async def dying(host: str, port: int, settings: Settings) -> Serving:
    print("out of luck", file=sys.stderr, flush=True)
    os._exit(7)


async def hanging(host: str, port: int, settings: Settings) -> Serving:
    await asyncio.Event().wait()
    raise AssertionError


async def noisy(host: str, port: int, settings: Settings) -> Plain:
    print('{"event": "listening", "url": "http://nowhere"}', flush=True)
    os.write(1, b"more noise\n")
    subprocess.run(["echo", "noise of a child"], check=True)
    return await quiet(host, port, settings)


async def blocked(host: str, port: int, settings: Settings) -> Plain:
    """Block the loop for good at SIGUSR1, and say so just before."""

    def block() -> None:
        print("blocked", file=sys.stderr, flush=True)
        time.sleep(3600)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, block)
    return await quiet(host, port, settings)


async def with_child(host: str, port: int, settings: Settings) -> Plain:
    """Leave a process of its own behind, and say which."""
    process = subprocess.Popen(["sleep", "3600"])
    print(f"child {process.pid}", file=sys.stderr, flush=True)
    return await quiet(host, port, settings)


async def with_thread(host: str, port: int, settings: Settings) -> Plain:
    """Start a thread that no interpreter's exit can wait out."""
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return await quiet(host, port, settings)


async def ending(host: str, port: int, settings: Settings) -> Plain:
    """End by itself soon after the start."""
    plain = await quiet(host, port, settings)
    asyncio.get_running_loop().call_later(0.3, plain._over.set)
    return plain


def _main() -> None:
    behaviour, _python, _dash_m, module = sys.argv[1:]
    me = importlib.import_module(Path(__file__).stem)
    row = replace(
        stacks.STACKS["asyncio"],
        name="private",
        application=me.__name__,
        adapter=me.__name__,
        packages=(),
    )
    stacks.STACKS[row.name] = row
    start = vars(me)[behaviour]
    vars(me)["create_app"] = lambda settings: None
    vars(me)["serve"] = lambda app, host, port, settings: start(host, port, settings)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
