"""Locust's master, which listens on whatever comes to its port."""

from __future__ import annotations

import locust  # noqa: F401 isort: skip  (first: importing it patches the standard library)

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from locust.env import Environment
from locust.runners import MasterRunner

from loopbench.loadtests.distributed.connection import BadMessage

MOST_NAMED = 20
"""So many refusals are named: a stranger may send any number of messages."""

_OF_WORKERS = frozenset(
    {
        "client_ready",
        "client_stopped",
        "exception",
        "heartbeat",
        "logs",
        "quit",
        "spawning",
        "spawning_complete",
        "stats",
    }
)
"""The types of Locust's own messages that our workers send. Another one, `locustfile`, asks the
master for files."""


class Refusals:
    """What was refused, each once, for the harness to say. Kept until `send` is set."""

    def __init__(self) -> None:
        self._named: dict[tuple[str, str], None] = {}
        self._send: Callable[[str, str], None] | None = None

    def add(self, who: str, why: str) -> None:
        """Note that somebody was refused, unless that was said before."""
        if (who, why) in self._named or len(self._named) >= MOST_NAMED:
            return
        self._named[who, why] = None
        if self._send is not None:
            self._send(who, why)

    def send_to(self, send: Callable[[str, str], None]) -> None:
        """Send those so far, and from now on each as it comes."""
        self._send = send
        for who, why in self._named:
            send(who, why)


class Listener(MasterRunner):
    """Goes on where Locust's own greenlet would end without a word: at a message of another form.

    A greenlet that ends all the same ends the process, with one line.
    """

    def __init__(self, environment: Environment, host: str, port: int, refusals: Refusals) -> None:
        self.refusals = refusals
        super().__init__(environment, host, port)

    def client_listener(self) -> NoReturn:
        """Carry out message after message."""
        try:
            while True:
                try:
                    server: Any = self.server  # of Locust's, which have no types
                    sender, message = server.recv_from_client()
                    self._carry_out(sender, message)
                except BadMessage as error:
                    self.refusals.add("a message", str(error))
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            print(f"the master cannot hear its workers any more: {why}", file=sys.stderr)
            sys.stderr.flush()
            os._exit(1)

    def _carry_out(self, sender: str, message: Any) -> None:
        """Raises BadMessage where it is of no known type, or its data are not as they should be."""
        ours = self.custom_messages.get(message.type)
        if ours is None and message.type not in _OF_WORKERS:
            raise BadMessage(f"no worker sends a message of the type {message.type[:40]!r}")
        try:
            if ours is None:
                self.handle_message(sender, message)
            else:
                ours[0](environment=self.environment, msg=message)
        except Exception as error:  # Locust reads the data as they come
            why = f"the data of {message.type!r} are of another form ({type(error).__name__})"
            raise BadMessage(why) from error
