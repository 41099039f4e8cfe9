"""Counting by function, of the routes that grew."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

import psutil
import pytest

from loopbench.loadtests.observe.callgrind import missing
from tests.loadtests.regression.trees import python

_COUNT = """
import sys
from contextlib import nullcontext
from pathlib import Path
from loopbench.loadtests.regression.layers import functions
from loopbench.loadtests.regression.parallel import side_by_side
from loopbench.loadtests.regression.sides.sides import Role, look
from loopbench.results.schema import ROOT

functions._naming = lambda side: nullcontext(side.python)
side = look(Role.BASE, "x", ROOT, Path(sys.executable), ["asyncio"])


def count(one, within):
    try:
        return functions.rows_of([one], [("asyncio", "plain")], within)
    except Exception as error:
        print(type(error).__name__, flush=True)
        raise


if __name__ == "__main__":
    side_by_side([side], count)
"""


def _under_callgrind(process: int) -> bool:
    """Whether a process under callgrind lives that this one has started."""
    for child in psutil.Process(process).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "callgrind" in child.name():
                return True
    return False


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_counting_ends_where_the_check_is_interrupted() -> None:
    """It takes a minute and more, which whoever presses Ctrl-C does not wait for: the server under
    callgrind is ended in the middle of its start. That is no failure of its own."""
    with python(_COUNT) as process:
        while process.poll() is None and not _under_callgrind(process.pid):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        ended, said = process.communicate(timeout=60)
    assert ended == "BrokenOff\n", said
    assert said.strip().splitlines()[-1] == "KeyboardInterrupt", said
