"""Stacks that misbehave, for a bench in a process of its own.

`environment` returns variables with which every Python process knows these
stacks: a `sitecustomize` on its path calls `install` before anything else.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from loopbench.servers import stacks
from loopbench.servers.adapters.protocol import Serving, Start
from loopbench.servers.settings import Settings

_ROOT = Path(__file__).resolve().parent.parent.parent
_NOTES = "LOOPBENCH_TEST_NOTES"
_HASTE = "LOOPBENCH_TEST_READY_S"

READY_S = 1.5
"""How long a bench with these stacks waits for a server, instead of half a minute."""


def environment(folder: Path) -> dict[str, str]:
    """Variables for a bench that shall know the strange stacks; `folder` is for their notes."""
    (folder / "sitecustomize.py").write_text(
        f"import sys\nsys.path.insert(1, {str(_ROOT)!r})\n"
        "from tests.loadtests.strange_stacks import install\ninstall()\n"
    )
    return {"PYTHONPATH": str(folder), _NOTES: str(folder), _HASTE: str(READY_S)}


def install() -> None:
    """Make the strange stacks known in this process, and the harness less patient."""
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
    if "bench" in sys.orig_argv:
        from loopbench.servers.lifecycle.process import server_process

        inner: Any = server_process
        inner.__wrapped__.__kwdefaults__["ready_timeout_s"] = float(os.environ[_HASTE])


async def _serve(start: Start, app: None, host: str, port: int, settings: Settings) -> Serving:
    return await start(host, port, settings)


def _good() -> Start:
    return stacks.load(stacks.STACKS["asyncio"])


def _starts(name: str) -> int:
    """How often the stack of that name has been started in this bench, this time included."""
    with open(Path(os.environ[_NOTES]) / name, "a+") as notes:
        notes.write("x")
        notes.flush()
        return notes.tell()


async def rude(host: str, port: int, settings: Settings) -> Serving:
    """Becomes ready, and answers everything as if it were `GET /plain`."""
    from tests.servers.private_stacks import quiet

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
