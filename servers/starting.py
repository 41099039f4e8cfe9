"""How a stack is started: its modules are imported only here, and only when it is."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from loopbench.results.schema import how_to
from loopbench.servers.adapters.protocol import Serve, Serving, Start
from loopbench.servers.contract.greeting import GREETING
from loopbench.servers.contract.http import Expected, Request
from loopbench.servers.errors import StartupFailed
from loopbench.servers.installed import available, missing_module
from loopbench.servers.parts import READY_S
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack

FIRST_ANSWER_BOUND_S = 10.0


def greeting(stack: Stack) -> tuple[Request, Expected | None] | None:
    """The request whose answer shows that the stack serves; the answer is None where any does.

    None: nothing is to be asked.
    """
    if stack.own is not None:
        return None if stack.own.path is None else (Request("GET", stack.own.path), None)
    return GREETING.request, GREETING.expected


def ready_s(stack: Stack) -> float:
    """How long it may take from the start of its process to its first answer."""
    return READY_S if stack.own is None else stack.own.ready_s


def first_answer_s(stack: Stack) -> float:
    """How long its first answer may take once it listens: longer, too, where a person says that
    their application takes longer to be ready than READY_S."""
    wanted_s = ready_s(stack)
    return wanted_s if wanted_s > READY_S else min(wanted_s, FIRST_ANSWER_BOUND_S)


def longer(stack: Stack) -> str:
    """What to do where a first answer takes longer."""
    if stack.own is None:
        return "see its log"
    return (
        "correct the handler, name another path, or give its first answer longer by --ready-s "
        f"(above {READY_S:g})"
    )


def prepare(stack: Stack) -> None:
    """What is to be done for a stack while no loop runs: a person's own application is imported
    then, and its factory called, as they do it themselves.

    The server is imported before it: of what that imports, nothing is the person's.
    """
    if stack.own is not None:
        load(stack)
        importlib.import_module(stack.application).prepare(stack.own)


def load(stack: Stack) -> Start:
    """How to start the stack. Raises StartupFailed when its modules cannot be imported."""
    try:
        serve: Serve = importlib.import_module(stack.adapter).serve
        importlib.import_module(stack.application)
    except ImportError as error:
        raise StartupFailed(
            f"stack {stack.name} cannot be imported: {error}; {_brought(stack, error)}"
        ) from error
    return partial(_start, stack, serve)


def _brought(stack: Stack, error: ImportError) -> str:
    """What to do: the stack's packages may all be there, and what its modules import may not."""
    clean = how_to("make clean setup", "pipx reinstall loopbench")
    return (
        available(stack)
        or missing_module(error)
        or f"correct that import, or have the versions of the lock again ({clean})"
    )


async def _start(stack: Stack, serve: Serve, host: str, port: int, settings: Settings) -> Serving:
    return await serve(
        await make_application(stack, settings), host, port, settings, **stack.options
    )


async def make_application(stack: Stack, settings: Settings) -> Any:
    """The stack's application, made in this loop, as its server takes it.

    Raises whatever making it raises.
    """
    create_app = importlib.import_module(stack.application).create_app
    if stack.own is None:
        return create_app(settings)
    return await create_app(stack.own)
