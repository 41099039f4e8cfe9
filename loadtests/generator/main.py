"""The Locust process that the harness commands: `python -m loopbench.loadtests.generator.main`.

One long-lived process runs many loads, one after another. It is told by JSON
lines on standard input and answers on standard output. The command `stop` ends
it, and so does end of file, which means that the harness is gone.
"""

from __future__ import annotations

import locust  # isort: skip  (first: importing it patches the standard library)

import logging
import os
import sys
from functools import partial

import gevent
from locust.env import Environment

from loopbench.loadtests.generator.commands import Handlers, obey, pin, tell
from loopbench.loadtests.generator.session import Session, SessionSpec
from loopbench.loadtests.generator.users.table import user_classes
from loopbench.servers.supervision.control_pipe import Message, Station
from loopbench.servers.supervision.os_stats import allow_many_files, die_with_parent


class Generator:
    """Carries out commands; at most one load at a time."""

    def __init__(self, station: Station) -> None:
        self._tell = partial(tell, station)
        self._session: Session | None = None
        self.handlers: Handlers = {
            "pin": partial(pin, station),
            "load": self._load,
            "abort": self._abort,
            "release": self._release,
        }

    def _release(self, message: Message) -> None:
        if self._session is not None:
            self._session.release()

    def _abort(self, message: Message) -> None:
        if self._session is not None:
            self._session.abort()

    def _load(self, message: Message) -> None:
        if self._session is not None:
            self._tell("failed", error="a load is under way already")
            return
        try:
            self._session = Session(SessionSpec.from_json(message), self._tell)
        except Exception as error:  # what was asked for makes no sense
            self._tell("failed", error=f"{type(error).__name__}: {error}")
            return
        gevent.spawn(self._run, self._session)

    def _run(self, session: Session) -> None:
        try:
            classes = user_classes(session)
            environment = Environment(user_classes=classes, catch_exceptions=False)
            runner = environment.create_local_runner()
            count = sum(run.users for run in session.runs)
            try:
                runner.start(count, spawn_rate=count)
                report = session.run()
            finally:
                runner.quit()
            self._tell("finished", report=report)
        except Exception as error:  # reported to the harness, which raises it there
            logging.getLogger(__name__).exception("the load failed")
            self._tell("failed", error=f"{type(error).__name__}: {error}")
        finally:
            self._session = None


def main() -> None:
    """Serve commands until the harness closes the pipe.

    Argument: the pid of the harness to die with, where that can be had.
    """
    if len(sys.argv) > 1:
        die_with_parent(int(sys.argv[1]))
    station = Station()
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    logging.getLogger("locust").setLevel(logging.ERROR)
    allow_many_files()
    generator = Generator(station)
    station.send({"event": "ready", "pid": os.getpid(), "locust": locust.__version__})
    obey(station, generator.handlers)
    # The harness has done with it, or is gone: nothing that is under way matters any more.
    os._exit(0)


if __name__ == "__main__":
    main()
