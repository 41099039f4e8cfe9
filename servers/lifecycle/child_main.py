"""The process around one server.

`servers.lifecycle.process` starts it as `python -m loopbench.servers.lifecycle.child_main`.

It speaks JSON lines over its standard input and output. The first line in is
a Config. The lines out: `{"event": "listening", …}` or `{"event": "failed",
…}`, then one answer a command, in the order of the commands and with their
`id`. End of file on the way in means that the harness is gone, and stops the
server as the command `stop` does, within a bound.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from loopbench.servers import stacks
from loopbench.servers.errors import ServerError, StartupFailed
from loopbench.servers.lifecycle import introspection, runner
from loopbench.servers.lifecycle.in_loop import Server
from loopbench.servers.probe import probe
from loopbench.servers.probe.probe import Probe
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision import os_stats
from loopbench.servers.supervision.control_pipe import ControlError, Message, Station


@dataclass(frozen=True, slots=True)
class Config:
    """What the harness tells a child, as the first line of its standard input.

    settings: a Settings as JSON.
    cpus: the CPUs to be bound to; None leaves that alone.
    parent: the pid to die with, where the harness is the child's own parent; None
        where another command stands between the two.
    stop_timeout_s: how long a stop may take once the harness is gone.
    row: the Stack of a person's own application as JSON, which is not among STACKS.
    """

    stack: str
    host: str
    port: int
    settings: dict[str, Any]
    cpus: list[int] | None
    parent: int | None
    stop_timeout_s: float
    row: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As the child takes it. A row that is None is not said: older trees know none."""
        return {key: value for key, value in asdict(self).items() if (key, value) != ("row", None)}

    def wanted(self) -> tuple[Stack, Settings]:
        """What is to be served, and how. Raises UnknownStack."""
        stack = stacks.find(self.stack) if self.row is None else Stack.from_json(self.row)
        return stack, Settings.from_json(self.settings)


FACTS_BOUND_S = 10.0
"""How long a loop that is busy may keep the control thread waiting for the facts."""

Handler = Callable[[Message], Message]


class SharedStation(Station):
    """A Station that the loop's thread and the control thread may both send through."""

    def __init__(self, descriptors: tuple[int, int] | None = None) -> None:
        super().__init__(descriptors)
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """As Station.send; a line longer than a pipe takes at once is not torn apart."""
        with self._sending:
            super().send(message)


def main() -> int:
    """Serve as told over standard input. Returns the exit status: 0 after a stop, 1 on failure."""
    station = SharedStation()
    commands = station.commands()
    first = next(commands, None)
    if first is None:
        return 0
    try:
        serve(station, commands, Config(**first))
    except (Exception, SystemExit) as error:  # some servers end failures with SystemExit
        traceback.print_exc()
        station.send({"event": "failed", **failure(error)})
        return 1
    return 0


def serve(station: Station, commands: Iterable[Message], config: Config) -> None:
    """Serve `config`'s stack and answer `commands` until one of them, or their end, stops it."""
    settle(config)
    # Only now: looking a stack up imports no framework, starting it does.
    stack, settings = config.wanted()
    with probing(settings) as watching:
        _host(station, commands, config, stack, settings, watching)


def settle(config: Config) -> None:
    """Bind this process to its CPUs and to its parent's life, and let it open many files.

    Raises StartupFailed for CPUs that it may not use.
    """
    if config.parent is not None:
        os_stats.die_with_parent(config.parent)
    if config.cpus is not None:
        _pin(config.cpus)
    os_stats.allow_many_files()


def probing(settings: Settings) -> AbstractContextManager[Probe | None]:
    """A Probe that is on, where the settings ask for one."""
    if not settings.probe:
        return nullcontext()
    return probe.watching(
        beat_s=settings.probe_beat_ms / 1000, stall_s=settings.probe_stall_ms / 1000
    )


def _host(
    station: Station,
    commands: Iterable[Message],
    config: Config,
    stack: Stack,
    settings: Settings,
    watching: Probe | None,
) -> None:
    stop = runner.StopRequest()
    handlers: dict[str, Handler] = {
        "read": lambda _: asdict(os_stats.read()),
        "stop": lambda _: accept(stop.ask),
    }
    if watching is not None:
        handlers |= observations(watching)
    # A thread, so that a server whose loop is blocked can still be read.
    threading.Thread(
        target=obey,
        args=(station, commands, handlers, stop.ask, config.stop_timeout_s),
        name="control",
        daemon=True,
    ).start()

    def announce(server: Server) -> None:
        loop = asyncio.get_running_loop()

        async def gather() -> Message:
            return introspection.gather(stack, server, settings)

        # On the loop, where it reads a server that nothing changes meanwhile.
        handlers["facts"] = lambda _: asyncio.run_coroutine_threadsafe(gather(), loop).result(
            FACTS_BOUND_S
        )
        station.send(
            {
                "event": "listening",
                "url": server.url,
                "host": server.host,
                "port": server.port,
                "pid": os.getpid(),
                "boot_id": os_stats.boot_id(),
            }
        )

    runner.run(
        stack,
        host=config.host,
        port=config.port,
        settings=settings,
        stop=stop,
        announce=announce,
        watching=watching,
    )


def observations(watching: Probe) -> dict[str, Handler]:
    """What the harness may ask of a Probe."""
    return {
        "reset": lambda command: accept(partial(watching.reset, instants=command["instants"])),
        "pause": lambda _: accept(watching.pause),
        "resume": lambda _: accept(watching.resume),
        "observe": lambda _: {
            **watching.snapshot(),
            "threads": [asdict(one) for one in os_stats.read_threads() or ()],
        },
        "glance": lambda _: {**watching.glance(), "process": asdict(os_stats.read())},
        "instants": lambda command: watching.instants(
            command["route"], command["skip"], command["count"]
        ),
    }


def _pin(cpus: list[int]) -> None:
    try:
        os_stats.pin(cpus)
    except OSError as error:
        raise StartupFailed(
            f"cannot run on CPUs {cpus}: {error.strerror}; "
            f"this process may use {os_stats.cpus_in_force()}"
        ) from error


def accept(action: Callable[[], None]) -> Message:
    """Do it; the answer to a command that has nothing to tell."""
    action()
    return {}


def obey(
    station: Station,
    commands: Iterable[Message],
    handlers: dict[str, Handler],
    stop: Callable[[], None],
    stop_timeout_s: float,
) -> None:
    """Answer each command in turn; at their end see to it that this process ends."""
    try:
        for command in commands:
            station.send({"id": command.get("id"), **_answer(command, handlers)})
    except ControlError:
        traceback.print_exc()
    finally:
        stop()
        time.sleep(stop_timeout_s)
        sys.stderr.write(f"not stopped within {stop_timeout_s:g} s; giving up\n")
        sys.stderr.flush()
        os._exit(1)


def _answer(command: Message, handlers: dict[str, Handler]) -> Message:
    """A command that fails is answered with its error; the server goes on serving."""
    try:
        return handlers[command["do"]](command)
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def failure(error: BaseException) -> Message:
    """The failure's kind, a class name of servers.errors, and its one line."""
    if isinstance(error, ServerError):
        return {"kind": type(error).__name__, "error": str(error)}
    line = " ".join(str(error).split())
    return {"kind": StartupFailed.__name__, "error": f"{type(error).__name__}: {line}"}


if __name__ == "__main__":
    sys.exit(main())
