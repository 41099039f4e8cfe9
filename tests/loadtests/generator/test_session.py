"""A session from within its own process, where it can be looked at while it lasts."""

from __future__ import annotations

import json
import subprocess
import sys

from loopbench.results.schema import ROOT
from tests.loadtests.generator.counting import Counting

SCRIPT = """
from loopbench.loadtests.generator.first import locust  # isort: skip

import json
import sys

from loopbench.loadtests.generator.session import Session
from loopbench.loadtests.generator.users.table import runner
from loopbench.loadtests.messages.generator import WindowClosed
from tests.loadtests.generator.loads import closed, spec_at


def begun():
    return run.warmup.begun + run.measured.begun


def told(event):
    if isinstance(event, WindowClosed):
        at_close.append(begun() + sum(one.busy for one in run.connections))
        session.release()


at_close = []
session = Session(spec_at("127.0.0.1", int(sys.argv[1]), closed("/now", 64)), told)
(run,) = session.runs
users = runner(session)
users.start(run.users, spawn_rate=run.users)
session.run()
print(json.dumps([*at_close, begun()]))
users.quit()
"""


def test_no_request_begins_after_the_window(server: Counting) -> None:
    """Of 64 users without a pause, those whose answers come as it closes send nothing more: all
    that was recorded had ended by then, or was under way."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(server.port)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    at_close, in_all = json.loads(ended.stdout)
    assert in_all == at_close
