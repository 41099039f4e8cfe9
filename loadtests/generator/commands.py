"""The harness's commands to a Locust process, and its events: a JSON line each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from gevent.socket import wait_read

from loopbench.servers.supervision.control_pipe import Message, Station

Handlers = Mapping[str, Callable[[Message], None]]


def serve_commands(station: Station, handlers: Handlers) -> None:
    """Read and carry out commands until one of them is `stop`, or end of file."""
    while True:
        wait_read(station.fileno)
        messages = station.read()
        if messages is None:
            return
        for message in messages:
            do = message.pop("do", "")
            if do == "stop":
                return
            handler = handlers.get(do)
            if handler is None:
                send_event(station, "failed", error=f"unknown command, known: {sorted(handlers)}")
            else:
                handler(message)


def send_event(station: Station, event: str, **values: Any) -> None:
    """Send an event, with the instant at which it was sent."""
    station.send({"event": event, "monotonic_ns": time.monotonic_ns(), **values})


def pin(station: Station, message: Message) -> None:
    """The command `pin`: keep this process to some CPUs."""
    os.sched_setaffinity(0, message["cpus"])
    send_event(station, "pinned", cpus=sorted(os.sched_getaffinity(0)))
