"""Stacks that misbehave, and processes that are killed, for a bench in a process of its own.

`environment` returns variables with which every Python process knows these
stacks: a `sitecustomize` on its path calls `install` before anything else.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import psutil

from loopbench.servers import stacks, starting
from loopbench.servers.adapters.protocol import Serving, Start
from loopbench.servers.settings import Settings

_ROOT = Path(__file__).resolve().parents[3]
_NOTES = "LOOPBENCH_TEST_NOTES"
_KILLS = "LOOPBENCH_TEST_KILLS"

KILLED = "killed"
"""A file beside the notes: the pid of what was killed last."""

READY_S = 1.5
"""How long a bench waits for the one that never gets ready; for the others as long as for any
server, since on a busy machine a good one takes longer than this."""


def environment(folder: Path, kills: Mapping[int, str] = MappingProxyType({})) -> dict[str, str]:
    """Variables for a bench that shall know the strange stacks; `folder` is for their notes.

    kills: victims by the number of the counted Slice before which they are killed, in the whole
    bench; see VICTIMS. So they die in the middle of a load however slow the machine is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(
        f"import sys\nsys.path.insert(1, {str(_ROOT)!r})\n"
        "from tests.loadtests.bench.strange_stacks import install\ninstall()\n"
    )
    told = ",".join(f"{number}:{victim}" for number, victim in kills.items())
    return {"PYTHONPATH": str(folder), _NOTES: str(folder), _KILLS: told}


def install() -> None:
    """Make the strange stacks known in this process, and the harness less patient with one."""
    for name, start in STRANGE.items():
        module = ModuleType(f"strange_{name}")
        vars(module)["create_app"] = lambda settings: None
        vars(module)["serve"] = partial(_serve, start)
        sys.modules[module.__name__] = module
        stacks.STACKS[name] = replace(
            stacks.STACKS["asyncio"],
            name=name,
            application=module.__name__,
            adapter=module.__name__,
            packages=PACKAGES.get(name, ()),
        )
    usual = starting.ready_s
    starting.ready_s = lambda stack: READY_S if stack.name == "late" else usual(stack)
    if os.environ.get(_KILLS) and "bench" in sys.orig_argv:
        _kill_before_slices(dict(one.split(":") for one in os.environ[_KILLS].split(",")))


def _kill_before_slices(kills: dict[str, str]) -> None:
    """Have this bench kill what it is told to, before the counted Slices of these numbers."""
    from loopbench.loadtests.distributed.generator_process import Generator
    from loopbench.loadtests.messages.reports import SliceResult
    from loopbench.loadtests.messages.specs import Phase

    visit, visits = Generator.slice, 0

    def meddle(
        generator: Generator, target: str, seconds: float, phase: Phase, **more: Any
    ) -> SliceResult:
        nonlocal visits
        visits += phase is Phase.MEASURED
        victim = kills.pop(str(visits), None)
        if victim is not None:
            pid = VICTIMS[victim]()
            (Path(os.environ[_NOTES]) / KILLED).write_text(str(pid))
            os.kill(pid, signal.SIGKILL)
        return visit(generator, target, seconds, phase, **more)

    Generator.slice = meddle  # type: ignore[method-assign, assignment]


def _running(module: str) -> list[psutil.Process]:
    """The processes of this bench that run a module, the first one started first."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if f"loopbench.{module}" in child.cmdline():
                found.append(child)
    return sorted(found, key=lambda one: one.create_time())


def _worker_of_gunicorn() -> int:
    """It runs what its manager runs."""
    managers = _running("servers.managers.manager_main")
    pids = {manager.pid for manager in managers}
    return next(manager.pid for manager in managers if manager.ppid() in pids)


VICTIMS: dict[str, Callable[[], int]] = {
    "server": lambda: _running("servers.lifecycle.child_main")[0].pid,
    "generator": lambda: _running("loadtests.generator.main")[0].pid,
    "worker": _worker_of_gunicorn,
}
"""What can be killed: by its name the pid."""


async def _serve(start: Start, app: None, host: str, port: int, settings: Settings) -> Serving:
    return await start(host, port, settings)


def _good() -> Start:
    return starting.load(stacks.STACKS["asyncio"])


def _starts(name: str) -> int:
    """How often the stack of that name has been started in this bench, this time included."""
    with open(Path(os.environ[_NOTES]) / name, "a+") as notes:
        notes.write("x")
        notes.flush()
        return notes.tell()


async def rude(host: str, port: int, settings: Settings) -> Serving:
    """Becomes ready, and answers everything as if it were `GET /plain`."""
    from tests.servers.lifecycle.private_stacks import quiet

    return await quiet(host, port, settings)


async def fickle(host: str, port: int, settings: Settings) -> Serving:
    """Keeps the contract when it is started first, and breaks it afterwards."""
    start = _good() if _starts("fickle") == 1 else rude
    return await start(host, port, settings)


async def tired(host: str, port: int, settings: Settings) -> Serving:
    """Starts once, and never again."""
    if _starts("tired") > 1:
        print("too tired", file=sys.stderr, flush=True)
        os._exit(7)
    return await _good()(host, port, settings)


async def late(host: str, port: int, settings: Settings) -> Serving:
    """Never gets ready."""
    await asyncio.Event().wait()
    raise AssertionError


class _Slow:
    """A server that takes its time to stop, and says when it begins to."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def __getattr__(self, name: str) -> Any:
        return getattr(self._serving, name)

    async def stop(self) -> None:
        print("stopping", file=sys.stderr, flush=True)
        await asyncio.sleep(1.0)
        await self._serving.stop()


async def slow(host: str, port: int, settings: Settings) -> Serving:
    """Stops slowly."""
    serving: Any = _Slow(await _good()(host, port, settings))
    return serving  # type: ignore[no-any-return]


async def absent(host: str, port: int, settings: Settings) -> Serving:
    """Needs what no index has, see `install`."""
    raise AssertionError


STRANGE: dict[str, Start] = {
    "rude": rude,
    "fickle": fickle,
    "tired": tired,
    "late": late,
    "slow": slow,
    "absent": absent,
}

PACKAGES = {"absent": ("loopbench-is-not-installed",)}
