"""What an application turns out to be, found out in a process that does nothing else.

`look_at` starts it as `python -m loopbench.servers.custom.look`, see `supervision.look_process`.
"""

from __future__ import annotations

import asyncio
import errno
import faulthandler
import inspect
import json
import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from loopbench.results.schema import ROOT
from loopbench.servers.custom import application
from loopbench.servers.custom.target import parse
from loopbench.servers.errors import ServerError, StartupFailed
from loopbench.servers.parts import ASGI, OwnApp
from loopbench.servers.supervision.listening import serves
from loopbench.servers.supervision.look_process import LookProcess, look_process
from loopbench.servers.supervision.messages import Vocabulary, from_json, to_json

_MODULE = "loopbench.servers.custom.look"
_AFTER_LISTENING_S = 5.0
"""How long the import may still wait once it listens: a metrics port is opened on the way, a
server never returns. What computes still is given its whole time."""
_LOOK_AGAIN_S = 1.0
_TRACE_BOUND_S = 2.0


@dataclass(frozen=True, slots=True)
class Looks:
    """What an application turned out to be.

    kind: AIOHTTP or ASGI, which decides on the servers that it runs on.
    framework: the package of its class, or "ASGI" where that is the person's own.
    packages: the distribution of that framework, where there is one.
    made, in_loop, until: see OwnApp; None: nobody can say.
    notes: what of it limits or changes what is measured, a sentence each.
    routes: the paths of GETs without a parameter that it says it has; sockets: of WebSockets,
    where its router tells these from others; others: its other routes, with their methods.
    hosts: the names of hosts that it answers alone, where it is made so.
    """

    kind: str
    framework: str
    packages: tuple[str, ...]
    made: bool | None = None
    in_loop: bool = False
    notes: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    until: int | None = None
    sockets: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def with_findings(self, own: OwnApp) -> OwnApp:
        """The application with what need not be found out again."""
        return replace(own, kind=self.kind, made=self.made, in_loop=self.in_loop, until=self.until)


@dataclass(frozen=True, slots=True)
class Listens:
    """Its import has bound this address, perhaps listens, and may yet return.

    line: of the module's own file, which has not ended by then; None where another listens.
    importing: whether any module is being imported; else it is called.
    """

    address: str
    line: int | None
    importing: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the application cannot be had.

    needs_loop: it may be had inside a running loop.
    exits: it has ended its process in order, and may have printed why.
    serves_at: the line of its module that listened, and with which its import did not end in order.
    """

    error: str
    needs_loop: bool
    serves_at: int | None = None
    exits: bool = False


ANSWERS: Vocabulary[Looks | Listens | Refused] = Vocabulary(
    "answer", "says", (Looks, Listens, Refused)
)


def look_at(own: OwnApp) -> Looks:
    """What the application is. Raises StartupFailed with cause and remedy where it cannot be had.

    It is imported and made outside a running loop, as gunicorn and a plain start do; once more
    inside one where it fails for want of it, as under uvicorn. A module that starts its own server
    is imported as far as that.
    """
    answer = _ask(own)
    if isinstance(answer, Refused) and answer.needs_loop:
        answer = _ask(replace(own, in_loop=True))
    if isinstance(answer, Refused) and answer.serves_at is not None:
        before = _ask(replace(own, until=answer.serves_at))
        answer = answer if isinstance(before, Refused) else before
    if isinstance(answer, Refused):
        raise StartupFailed(answer.error)
    return answer


def _ask(own: OwnApp) -> Looks | Refused:
    for name, value in own.arguments.items():
        try:
            json.dumps(value)
        except TypeError:  # of all that TOML has, a date or a time
            raise StartupFailed(
                f"the argument {name} holds a date or a time, which is handed over as a text only; "
                "put it in quotes"
            ) from None
    asked = json.dumps(to_json(own))
    command = (sys.executable, "-m", _MODULE)
    with look_process(lambda writer: [*command, str(writer), asked], ROOT) as process:
        return _answer(own, process)


def _answer(own: OwnApp, process: LookProcess) -> Looks | Refused:
    end, listens = time.monotonic() + own.ready_s, None
    deadline, serving = end, False
    while True:
        try:
            line = process.line(deadline)
        except TimeoutError:
            if serving and listens is not None:
                return _serving(own, process, listens)
            serving = listens is not None and serves(process.child.pid) is not False
            if serving:  # it may have answered meanwhile, and wait since then
                deadline = time.monotonic()
                continue
            if time.monotonic() >= end:
                raise _late(own, process) from None
            deadline = min(end, time.monotonic() + _LOOK_AGAIN_S)
            continue
        if line is None:
            raise _gone(own, process.child.wait(), process.output)
        message = ANSWERS.from_json(json.loads(line))
        if isinstance(message, Refused) and message.exits:
            message = replace(message, error=message.error + _last_line(process.output))
        if isinstance(message, Refused) and listens is not None:
            return replace(message, serves_at=listens.line)
        if not isinstance(message, Listens):
            return message
        listens, serving = message, False
        deadline = min(end, time.monotonic() + _AFTER_LISTENING_S)


def _last_line(output: IO[bytes]) -> str:
    words = _printed(output).rpartition("\n")[2].strip()
    return f"; its last line: {words}" if words else ""


def _gone(own: OwnApp, status: int, output: IO[bytes]) -> StartupFailed:
    words = _printed(output).rpartition("\n")[2]
    return StartupFailed(
        f"{own.target} ended the process that imported it, exit status {status}"
        f"{': ' if words else ''}{words}; it must be importable without serving"
    )


def _late(own: OwnApp, process: LookProcess) -> StartupFailed:
    return StartupFailed(
        f"{own.target} was not imported within {own.ready_s:g} s{_where(own, process)}; give "
        "it longer by --ready-s, or move what takes so long into the application's start-up"
    )


def _serving(own: OwnApp, process: LookProcess, listens: Listens) -> Refused:
    where = f"starts a server on {listens.address} and does not return{_where(own, process)}"
    if listens.line is None and not listens.importing:
        return Refused(
            f"{own.target}() {where}; name the application, or a function that returns it",
            needs_loop=False,
        )
    return Refused(
        f'importing {own.target} {where}; put that under `if __name__ == "__main__":`',
        needs_loop=False,
        serves_at=listens.line,
    )


def _where(own: OwnApp, process: LookProcess) -> str:
    """The innermost line of the person's own code that its main thread is in."""
    output = process.output.fileno()
    before = os.fstat(output).st_size
    with suppress(ProcessLookupError):
        process.child.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + _TRACE_BOUND_S
    places: list[tuple[str, str]] = []
    while time.monotonic() < deadline and not places:
        time.sleep(0.05)
        text = os.pread(output, 65536, before).decode(errors="replace")
        places = re.findall(rf'File "{re.escape(own.folder)}/([^"]+)", line (\d+) in', text)
    theirs = [place for place in places if "site-packages" not in place[0]]
    return f"; it is at {theirs[0][0]}, line {theirs[0][1]}" if theirs else ""


def _printed(output: IO[bytes]) -> str:
    size = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), 8192, max(0, size - 8192)).decode(errors="replace").rstrip()


def _looks(own: OwnApp, app: object, made: bool) -> Looks:
    from loopbench.servers.custom.holdings import notes
    from loopbench.servers.custom.hosts import hosts
    from loopbench.servers.custom.routers import others, routes, sockets

    kind = application.kind(own, app)
    framework = _framework(own, type(app))
    return Looks(
        kind,
        framework or ASGI,
        () if framework is None else (framework,),
        made,
        own.in_loop,
        (*_left_out(own), *notes(app)),
        tuple(routes(app)),
        own.until,
        tuple(sockets(app)),
        tuple(others(app)),
        tuple(hosts(app)),
    )


def _framework(own: OwnApp, of: type) -> str | None:
    """The distribution that holds the class, or else one of its bases; None for the person's own.

    Looked for under the module's own name first: to ask all that are installed takes half as long
    as the look itself.
    """
    from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

    tops = dict.fromkeys(base.__module__.partition(".")[0] for base in of.__mro__)
    for top in tops:
        if top in sys.stdlib_module_names or _is_theirs(own, top):
            continue
        with suppress(PackageNotFoundError):
            package = distribution(top)
            if any(file.parts[0] in (top, f"{top}.py") for file in package.files or ()):
                return package.name.lower()
        if holding := packages_distributions().get(top):
            return holding[0].lower()
    return None


def _is_theirs(own: OwnApp, top: str) -> bool:
    """Whether a module lies in the person's folder, and in no environment there."""
    file = getattr(sys.modules.get(top), "__file__", None)
    return file is not None and (
        Path(file).is_relative_to(own.folder) and "site-packages" not in Path(file).parts
    )


def _left_out(own: OwnApp) -> Iterator[str]:
    if own.until is not None:
        yield (
            f"its module starts a server of its own in line {own.until}: that statement, and what "
            "follows it, are left out"
        )


def _main() -> None:
    answers, own = int(sys.argv[1]), from_json(OwnApp, json.loads(sys.argv[2]))
    faulthandler.register(signal.SIGUSR1, all_threads=False)
    main_thread = threading.current_thread()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.bind" and threading.current_thread() is main_thread:
            address = arguments[1]
            if isinstance(address, tuple) and len(address) >= 2:
                file = str(parse(own.target, Path(own.folder)).file)
                where = f"{address[0] or '*'} port {address[1]}"
                _say(answers, Listens(where, *_importing(file)))

    # Quart's `run` (0.23) starts its command anew in a child, to reload it, and waits there. This
    # is how that child knows itself, and serves in its own process, which is seen.
    os.environ["QUART_RUN_MAIN"] = "true"
    sys.addaudithook(hook)
    application.prepare(own)

    async def look() -> Looks:
        app = await application.application(own)
        return _looks(own, app, application.is_made(own))

    try:
        _say(answers, asyncio.run(look()))
    except ServerError as error:
        needs_loop = not own.in_loop and application.needs_loop(error)
        exits = isinstance(error.__cause__, SystemExit)
        if exits:
            with suppress(Exception):  # it may have closed it, or put another in its place
                sys.stdout.flush()
        _say(answers, Refused(str(error), needs_loop, exits=exits))
    # It is ended by whoever has the answer, with all that it has started. Whatever it has
    # registered for its exit, or threads that live on, is not asked for.
    unread = select.poll()
    unread.register(answers, 0)  # returns where nobody is left to read it
    unread.poll()
    os._exit(0)


def _importing(file: str) -> tuple[int | None, bool]:
    """The line that the import of this file is at, None where it is not under way; and whether the
    import of any is."""
    frame, line, importing = inspect.currentframe(), None, False
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals["__name__"] != "__main__":
            importing = True
            if frame.f_code.co_filename == file:
                line = frame.f_lineno
        frame = frame.f_back
    return line, importing


def _say(answers: int, message: Looks | Listens | Refused) -> None:
    try:
        os.write(answers, json.dumps(ANSWERS.to_json(message)).encode() + b"\n")
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        print("it closes descriptors that it has not opened", file=sys.stderr, flush=True)
        os._exit(1)


if __name__ == "__main__":
    _main()
