"""What to do about an exception that a person's own application raised, where that is known."""

from __future__ import annotations

import os

from loopbench.servers.installed import missing_module


def remedy(error: BaseException) -> str | None:
    """In a clause; None where the error is of no known kind."""
    return missing_module(error) or _missing_variable(error)


def _missing_variable(error: BaseException) -> str | None:
    """Of a look-up in `os.environ`, whose own frame is the last; any other mapping's is another."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    looked_up = type(os.environ).__getitem__.__code__
    if not isinstance(error, KeyError) or trace is None or trace.tb_frame.f_code is not looked_up:
        return None
    return f"set it in the environment, as in {error.args[0]}=… before the command"
