"""The process around one server.

`servers.lifecycle.process` starts it as `python -m loopbench.servers.lifecycle.child_main`.

It speaks JSON lines over its standard input and output, see
servers.lifecycle.messages. The first line in is a Config. The lines out: one of
EVENTS, then one answer a question, in the order of the questions and with their
`id`. End of file on the way in means that the harness is gone, and stops the
server as the command `stop` does, within a bound.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopbench.servers.errors import StartupFailed
from loopbench.servers.lifecycle import runner
from loopbench.servers.lifecycle.commands import (
    Handlers,
    SharedStation,
    accept,
    answering,
    obey_in_thread,
    telling_facts,
)
from loopbench.servers.lifecycle.in_loop import Server
from loopbench.servers.lifecycle.messages import EVENTS, Config, Failed, Listening, Read
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision import os_stats
from loopbench.servers.supervision.control_pipe import STOP, Station
from loopbench.servers.supervision.messages import Json, from_json

if TYPE_CHECKING:
    from loopbench.servers.probe.probe import Probe


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
    with watched(settings) as (watching, handlers):
        _host(station, commands, config, stack, settings, watching, handlers)


def settle(config: Config) -> None:
    """Bind this process to its CPUs and to its parent's life, and let it open many files.

    Raises StartupFailed for CPUs that it may not use.
    """
    if config.parent is not None:
        os_stats.die_with_parent(config.parent)
    if config.cpus is not None:
        _pin(config.cpus)
    os_stats.allow_many_files()


@contextmanager
def watched(settings: Settings) -> Iterator[tuple[Probe | None, Handlers]]:
    """A Probe that is on, where the settings ask for one, and what may then be asked of it."""
    if not settings.probe:
        yield None, {}
        return
    # It takes a third of a server's start, but for the framework's own.
    from loopbench.servers.lifecycle import observing

    with observing.watching(settings) as watching:
        yield watching, observing.observations(watching)


def _host(
    station: Station,
    commands: Iterable[Json],
    config: Config,
    stack: Stack,
    settings: Settings,
    watching: Probe | None,
    observations: Handlers,
) -> None:
    stop = runner.StopRequest()
    handlers: Handlers = {
        **answering(Read, lambda _: os_stats.read()),
        STOP: lambda _: accept(stop.ask),
        **observations,
    }
    obey_in_thread(station, commands, handlers, stop.ask, config.stop_timeout_s)

    def announce(server: Server) -> None:
        handlers.update(telling_facts(stack, server.in_force, settings))
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


def _pin(cpus: tuple[int, ...]) -> None:
    try:
        os_stats.pin(cpus)
    except OSError as error:
        raise StartupFailed(
            f"cannot run on CPUs {list(cpus)}: {error.strerror}; "
            f"this process may use {list(os_stats.cpus_in_force() or ())}"
        ) from error


if __name__ == "__main__":
    status = main()
    # The interpreter's end collects garbage among all that was imported, which takes a server with
    # a framework as long as a sixth of its start. Until here the collector is as anywhere else.
    gc.freeze()
    sys.exit(status)
