"""The harness's commands to a Locust process, and its events: a JSON line each."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gevent.socket import wait_read

from loopbench.loadtests.messages.generator import (
    COMMANDS,
    EVENTS,
    Failed,
    GeneratorCommand,
    GeneratorEvent,
    Pin,
    Pinned,
)
from loopbench.servers.supervision.control_pipe import STOP, Station
from loopbench.servers.supervision.messages import Json, MessageError

Handlers = Mapping[type[GeneratorCommand], Callable[[Any], object]]
"""What to do at each kind of command; called with the command."""


def serve_commands(station: Station, handlers: Handlers) -> None:
    """Read and carry out commands until one of them is to stop, or end of file."""
    while True:
        wait_read(station.fileno)
        messages = station.read()
        if messages is None:
            return
        for message in messages:
            if message.get("do") == STOP:
                return
            _carry_out(station, handlers, message)


def _carry_out(station: Station, handlers: Handlers, message: Json) -> None:
    try:
        command = COMMANDS.from_json(message)
    except MessageError as error:
        send_event(station, Failed(str(error)))
        return
    handler = handlers.get(type(command))
    if handler is None:
        send_event(station, Failed(f"this process does not take {command}"))
    else:
        handler(command)


def send_event(station: Station, event: GeneratorEvent) -> None:
    """Send an event."""
    station.send(EVENTS.to_json(event))


@contextmanager
def failures_sent(send: Callable[[Failed], None], what: str) -> Iterator[None]:
    """Send the harness what is raised within, which raises it there. what: for the log."""
    try:
        yield
    except Exception as error:
        logging.getLogger(__name__).exception("%s failed", what)
        send(Failed(f"{type(error).__name__}: {error}"))


def pin(station: Station, command: Pin) -> None:
    """Keep this process to some CPUs."""
    os.sched_setaffinity(0, command.cpus)
    send_event(station, Pinned(tuple(sorted(os.sched_getaffinity(0)))))
