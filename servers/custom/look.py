"""What an application turns out to be, found out in a process that does nothing else.

`look_at` starts it as `python -m loopbench.servers.custom.look`. It answers over a descriptor of
its own, since applications print, also at exit, and their children inherit the output; with the
answer its whole process group is ended.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import IO, Any

from loopbench.results.schema import ROOT
from loopbench.servers.custom import application
from loopbench.servers.errors import ServerError, StartupFailed
from loopbench.servers.parts import ASGI, OwnApp
from loopbench.servers.supervision.child_process import interrupts_deferred

_MODULE = "loopbench.servers.custom.look"
_AFTER_LISTENING_S = 5.0
"""How long the import may still take once it listens: a metrics port is opened on the way, a
server never returns."""
_TRACE_BOUND_S = 2.0


@dataclass(frozen=True, slots=True)
class Looks:
    """What an application turned out to be.

    kind: AIOHTTP or ASGI, which decides on the servers that it runs on.
    framework: the package of its class, or "ASGI" where that is the person's own.
    packages: the distribution of that framework, where there is one.
    made, in_loop: see OwnApp; None: nobody can say.
    notes: what of it limits or changes what is measured, a sentence each.
    routes: the paths of GETs without a parameter that it says it has.
    """

    kind: str
    framework: str
    packages: tuple[str, ...]
    made: bool | None = None
    in_loop: bool = False
    notes: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()

    def told(self, own: OwnApp) -> OwnApp:
        """The application with what need not be found out again."""
        return replace(own, kind=self.kind, made=self.made, in_loop=self.in_loop)


def look_at(own: OwnApp, python: str = sys.executable) -> Looks:
    """What the application is. Raises StartupFailed with cause and remedy where it cannot be had.

    It is imported and made outside a running loop, as gunicorn and a plain start do; once more
    inside one where it fails for want of it, as under uvicorn.
    """
    answer = _ask(own, python)
    if answer.get("needs_loop"):
        answer = _ask(replace(own, in_loop=True), python)
    if "error" in answer:
        raise StartupFailed(answer["error"])
    for name in ("packages", "notes", "routes"):
        answer[name] = tuple(answer[name])
    return Looks(**answer)


def _ask(own: OwnApp, python: str) -> dict[str, Any]:
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as output, open(reader, "rb", buffering=0) as answers:
        try:
            with interrupts_deferred():
                child = subprocess.Popen(
                    [python, "-m", _MODULE, str(writer), json.dumps(asdict(own))],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(writer,),
                    start_new_session=True,
                )
        finally:
            os.close(writer)
        try:
            return _answer(own, child, answers, output)
        finally:
            with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a dead group
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _answer(
    own: OwnApp, child: subprocess.Popen[bytes], answers: IO[bytes], output: IO[bytes]
) -> dict[str, Any]:
    deadline, listens, pending = time.monotonic() + own.ready_s, "", b""
    readable = select.poll()  # select() takes no descriptor above 1,023
    readable.register(answers, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        ready = readable.poll(max(0.0, min(left, 0.2)) * 1000)
        chunk = answers.read(65536) if ready else b""
        pending += chunk
        while b"\n" in pending:
            line, _, pending = pending.partition(b"\n")
            message: dict[str, Any] = json.loads(line)
            if "listens" not in message:
                return message
            listens = message["listens"]
            deadline = min(deadline, time.monotonic() + _AFTER_LISTENING_S)
        # Its children may hold the other end still, so that there is no end of file.
        if (ready and not chunk) or (not ready and child.poll() is not None):
            raise _gone(own, child.wait(), output)
        if left < 0:
            raise _late(own, child, listens, output)


def _gone(own: OwnApp, status: int, output: IO[bytes]) -> StartupFailed:
    words = _printed(output).rpartition("\n")[2]
    return StartupFailed(
        f"{own.target} ended the process that imported it, exit status {status}"
        f"{': ' if words else ''}{words}; it must be importable without serving"
    )


def _late(
    own: OwnApp, child: subprocess.Popen[bytes], listens: str, output: IO[bytes]
) -> StartupFailed:
    """Why there is no answer, by where the process is."""
    places = _places(own, child, output)
    where = f"; it is at {places[-1]}" if places else ""
    if listens:
        return StartupFailed(
            f"importing {own.target} starts a server on {listens} and does not return{where}; "
            'put that under `if __name__ == "__main__":`'
        )
    return StartupFailed(
        f"{own.target} was not imported within {own.ready_s:g} s{where}; give it longer by "
        "--ready-s, or move what takes so long into the application's start-up"
    )


def _places(own: OwnApp, child: subprocess.Popen[bytes], output: IO[bytes]) -> list[str]:
    """The lines of the person's own code that its main thread is in, the innermost last."""
    before = os.fstat(output.fileno()).st_size
    with suppress(ProcessLookupError):
        child.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + _TRACE_BOUND_S
    found: list[tuple[str, str]] = []
    while time.monotonic() < deadline and not found:
        time.sleep(0.05)
        text = os.pread(output.fileno(), 65536, before).decode(errors="replace")
        found = re.findall(rf'File "{re.escape(own.folder)}/([^"]+)", line (\d+) in', text)
    theirs = [place for place in found if "site-packages" not in place[0]]
    return [f"{file}, line {line}" for file, line in reversed(theirs)]


def _printed(output: IO[bytes]) -> str:
    size = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), 8192, max(0, size - 8192)).decode(errors="replace").rstrip()


def _looks(own: OwnApp, app: object, made: bool) -> Mapping[str, Any]:
    from importlib.metadata import packages_distributions  # takes long, and only a look needs it

    from loopbench.servers.custom.holdings import notes, routes

    found = application.kind(own, app)
    tops = [base.__module__.partition(".")[0] for base in type(app).__mro__]
    distributions = packages_distributions()
    known = next((top for top in tops if top in distributions), None)
    framework = None if known is None else distributions[known][0].lower()
    return {
        "kind": found,
        "framework": framework or ASGI,
        "packages": [] if framework is None else [framework],
        "made": made,
        "in_loop": own.in_loop,
        "notes": notes(app),
        "routes": routes(app),
    }


def _main() -> None:
    answers, own = int(sys.argv[1]), OwnApp(**json.loads(sys.argv[2]))
    faulthandler.register(signal.SIGUSR1, all_threads=False)
    main_thread = threading.current_thread()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.bind" and threading.current_thread() is main_thread:
            address = arguments[1]
            if isinstance(address, tuple) and len(address) >= 2:
                _say(answers, {"listens": f"{address[0] or '*'} port {address[1]}"})

    sys.addaudithook(hook)
    application.prepare(own)

    async def look() -> Mapping[str, Any]:
        app = await application.application(own)
        return _looks(own, app, application.is_made(own))

    try:
        told = asyncio.run(look())
    except ServerError as error:
        told = {
            "error": str(error),
            "needs_loop": not own.in_loop and application.needs_loop(error),
        }
    _say(answers, told)
    os._exit(
        0
    )  # whatever it has registered for its exit, or threads that live on, is not asked for


def _say(answers: int, message: Mapping[str, Any]) -> None:
    os.write(answers, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    _main()
