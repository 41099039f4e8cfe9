"""What the Questions about saves at shutdown share: a stop in the middle of a save."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from loopbench.loadtests.behaviour.disconnect.console import console, shown
from loopbench.loadtests.behaviour.disconnect.leaving import EMPTY_BODY, Begin
from loopbench.loadtests.behaviour.disconnect.saving import SAVED, Saving, Way
from loopbench.loadtests.behaviour.framework.question import Answer, Experiment
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire
from loopbench.loadtests.behaviour.framework.servers import Live

STEP_S = 0.5
"""Of each of the two steps: the save takes far longer than a stop that does not wait for it."""

SHORT_S = 0.1
"""A bound that is set to a wait, far shorter than the save."""

STOP_BOUND_S = 15.0


def stop_meanwhile(begin: Begin[Saving], leaves: bool) -> Answer:
    """Ask for a save, leave or stay, stop the server, and look at the file when it has stopped."""
    with tempfile.TemporaryDirectory() as folder, console() as lines:
        saving = Saving(Path(folder) / "saves", STEP_S)
        with begin(saving) as server, Wire(server.port) as wire:
            wire.request("POST", "/", EMPTY_BODY)
            if not saving.seen.wait("first step begun"):
                raise TimeoutError("the save was never begun")
            if leaves:
                wire.leave(Leaving.RST)
                saving.seen.wait("handler cancelled", STEP_S / 5)
            saving.seen("stop")
            took_s = server.stop(STOP_BOUND_S)
            saved = saving.lines
            saving.seen("stopped")
        if "second step saved" in saving.seen.events[: saving.seen.events.index("stop")]:
            raise TimeoutError("the save was done before the stop")
        took = "the stop hangs" if took_s is None else f"the stop took {took_s:.2f} s"
        return Answer(
            SAVED[saved],
            f"{saved} of 2 lines in the file when the server had stopped; {took}; "
            f"{', '.join(saving.seen.events)}; {shown(lines())}",
        )


def stops(
    stack: str,
    serve: Callable[..., AbstractContextManager[Live]],
    rows: Iterable[tuple[str, Way, dict[str, Any]]],
    leaves: bool = True,
) -> tuple[Experiment, ...]:
    """An Experiment for each setting, way of saving, and options of serving."""
    return tuple(
        Experiment(
            stack,
            setting,
            partial(stop_meanwhile, partial(serve, way=way, **options), leaves),
        )
        for setting, way, options in rows
    )
