"""The default executor of a loop, as it is in force."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import Executor


def default_executor(loop: asyncio.AbstractEventLoop) -> Executor | None:
    """The loop's default executor. Loops keep it private, yet that is the only place to see
    that nobody has put another one in: an attribute of asyncio's, and of uvloop's one of the
    objects that it tells the garbage collector of."""
    held = [getattr(loop, "_default_executor", None), *gc.get_referents(loop)]
    return next((value for value in held if isinstance(value, Executor)), None)
