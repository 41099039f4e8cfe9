"""The process around one server.

`servers.lifecycle.process` starts it as `python -m loopbench.servers.lifecycle.child_main`.

It speaks JSON lines over its standard input and output, see
servers.lifecycle.messages. The first line in is a Config. The lines out: one of
EVENTS, then one answer a question, in the order of the questions and with their
`id`. End of file on the way in means that the harness is gone, and stops the
server as the command `stop` does, within a bound.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

from loopbench.servers.errors import StartupFailed
from loopbench.servers.lifecycle import introspection, runner
from loopbench.servers.lifecycle.in_loop import Server
from loopbench.servers.lifecycle.messages import (
    EVENTS,
    Config,
    Facts,
    Failed,
    Listening,
    Read,
    StackFacts,
)
from loopbench.servers.probe import probe
from loopbench.servers.probe.probe import Probe
from loopbench.servers.probe.readings import Glance, Instants, Observe, Pause, Reset, Resume
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision import os_stats
from loopbench.servers.supervision.control_pipe import STOP, ControlError, Station
from loopbench.servers.supervision.messages import (
    Done,
    Json,
    Question,
    from_json,
    hyphenated,
    to_json,
)

A = TypeVar("A")


FACTS_BOUND_S = 10.0
"""How long a loop that is busy may keep the control thread waiting for the facts."""

Handlers = dict[str, Callable[[Json], object]]
"""By the name of a question: from what was sent to the answer."""


class SharedStation(Station):
    """A Station that the loop's thread and the control thread may both send through."""

    def __init__(self, descriptors: tuple[int, int] | None = None) -> None:
        super().__init__(descriptors)
        self._sending = threading.Lock()

    def send(self, message: Json) -> None:
        """As Station.send; a line longer than a pipe takes at once is not torn apart."""
        with self._sending:
            super().send(message)


def main() -> int:
    """Serve as told over standard input. Returns the exit status: 0 after a stop, 1 on failure."""
    # A crash in C says where each thread was, in the log; its exit status alone tells nothing.
    faulthandler.enable()
    station = SharedStation()
    commands = station.commands()
    first = next(commands, None)
    if first is None:
        return 0
    try:
        serve(station, commands, from_json(Config, first))
    except (Exception, SystemExit) as error:  # some servers end failures with SystemExit
        traceback.print_exc()
        station.send(EVENTS.to_json(Failed.of(error)))
        return 1
    return 0


def serve(station: Station, commands: Iterable[Json], config: Config) -> None:
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
    commands: Iterable[Json],
    config: Config,
    stack: Stack,
    settings: Settings,
    watching: Probe | None,
) -> None:
    stop = runner.StopRequest()
    handlers: Handlers = {
        **answering(Read, lambda _: os_stats.read()),
        STOP: lambda _: accept(stop.ask),
    }
    if watching is not None:
        handlers |= observations(watching)
    obey_in_thread(station, commands, handlers, stop.ask, config.stop_timeout_s)

    def announce(server: Server) -> None:
        loop = asyncio.get_running_loop()

        handlers.update(
            telling_facts(loop, lambda: introspection.gather(stack, server.in_force, settings))
        )
        here = server.url, server.host, server.port, os.getpid(), os_stats.boot_id()
        station.send(EVENTS.to_json(Listening(*here)))

    runner.run(
        stack,
        host=config.host,
        port=config.port,
        settings=settings,
        stop=stop,
        announce=announce,
        watching=watching,
    )


def answering(kind: type[Question[A]], answer: Callable[[Any], A]) -> Handlers:
    """How questions of a kind are answered. answer: takes the question."""
    return {hyphenated(kind.__name__): lambda sent: answer(from_json(kind, sent))}


def telling_facts(loop: asyncio.AbstractEventLoop, gather: Callable[[], StackFacts]) -> Handlers:
    """How a server that listens says what is in force: on its loop, where it reads a server that
    nothing changes meanwhile."""

    async def gathered() -> StackFacts:
        return gather()

    def answer(_: Facts) -> StackFacts:
        return asyncio.run_coroutine_threadsafe(gathered(), loop).result(FACTS_BOUND_S)

    return answering(Facts, answer)


def observations(watching: Probe) -> Handlers:
    """What the harness may ask of a Probe."""
    return {
        **answering(Reset, lambda one: accept(partial(watching.reset, instants=one.instants))),
        **answering(Pause, lambda _: accept(watching.pause)),
        **answering(Resume, lambda _: accept(watching.resume)),
        **answering(Observe, lambda _: watching.observe()),
        **answering(Glance, lambda _: watching.glance()),
        **answering(Instants, lambda one: watching.instants(one.route, one.skip, one.count)),
    }


def _pin(cpus: tuple[int, ...]) -> None:
    try:
        os_stats.pin(cpus)
    except OSError as error:
        raise StartupFailed(
            f"cannot run on CPUs {list(cpus)}: {error.strerror}; "
            f"this process may use {list(os_stats.cpus_in_force() or ())}"
        ) from error


def accept(action: Callable[[], None]) -> Done:
    """Do it; the answer to what has nothing to tell."""
    action()
    return Done()


def obey_in_thread(*arguments: Any) -> None:
    """As `_obey`, in a thread, so that a server whose loop is blocked can still be read."""
    threading.Thread(target=_obey, args=arguments, name="control", daemon=True).start()


def _obey(
    station: Station,
    commands: Iterable[Json],
    handlers: Handlers,
    stop: Callable[[], None],
    stop_timeout_s: float,
) -> None:
    """Answer each command in turn; at their end see to it that this process ends."""
    try:
        for command in commands:
            number = command.pop("id", None)
            station.send({"id": number, **_answer(command, handlers)})
    except ControlError:
        traceback.print_exc()
    finally:
        stop()
        time.sleep(stop_timeout_s)
        sys.stderr.write(f"not stopped within {stop_timeout_s:g} s; giving up\n")
        sys.stderr.flush()
        os._exit(1)


def _answer(command: Json, handlers: Handlers) -> Json:
    """A command that fails is answered with its error; the server goes on serving."""
    try:
        return to_json(handlers[command.pop("do")](command))
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    status = main()
    # The interpreter's end collects garbage among all that was imported, which takes a server with
    # a framework as long as a sixth of its start. Until here the collector is as anywhere else.
    gc.freeze()
    sys.exit(status)
