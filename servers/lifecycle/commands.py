"""How a process around a server answers what it is asked, one question after another."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.control_pipe import ControlError, Station
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

FACTS = hyphenated("Facts")
"""The name of the question `servers.lifecycle.facts.Facts`, which is imported when it is asked."""

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


def answering(kind: type[Question[A]], answer: Callable[[Any], A]) -> Handlers:
    """How questions of a kind are answered. answer: takes the question."""
    return {hyphenated(kind.__name__): lambda sent: answer(from_json(kind, sent))}


def telling_facts(stack: Stack, in_force: Callable[[], InForce], settings: Settings) -> Handlers:
    """How a server that listens says what is in force: on its loop, which is the running one and
    where it reads a server that nothing changes meanwhile."""
    loop = asyncio.get_running_loop()

    def answer(_: Json) -> object:
        # Only one server a bench is asked. The others start without what facts are made of.
        from loopbench.servers.lifecycle import introspection

        async def gathered() -> object:
            return introspection.gather(stack, in_force, settings)

        return asyncio.run_coroutine_threadsafe(gathered(), loop).result(FACTS_BOUND_S)

    return {FACTS: answer}


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
