"""A person's own locustfile: what its users are, and loading it.

`python -m loopbench.loadtests.generator.locustfile FILE` prints what it holds as one JSON line over
the descriptor that its second argument names; `loadtests.scenarios.custom.locustfile` asks it so,
since importing Locust replaces the sockets of a process.
"""

from __future__ import annotations

from loopbench.loadtests.generator.first import locust  # isort: skip  (it patches others)

import functools
import json
import os
import sys
from pathlib import Path

from locust import FastHttpUser, HttpUser, User
from locust.event import Events
from locust.util.load_locustfile import load_locustfile

from loopbench.loadtests.scenarios.custom.locustfile import FINDINGS, NotImported, Users

HTTP_USERS = (HttpUser, FastHttpUser)


class Loaded:
    """A locustfile that has been imported.

    users: its classes that are no bases of others. shapes: whether it has a LoadTestShape.
    handlers: what it has added to Locust's events, by the event's name.
    """

    def __init__(self, path: Path) -> None:
        hooks = vars(locust.events)
        before = {name: len(hook._handlers) for name, hook in hooks.items()}
        # The file may read others beside it, when it is imported and later.
        os.chdir(path.parent)
        searched = list(sys.path)
        try:
            classes, shapes = load_locustfile(str(path))
        finally:
            sys.path[:] = [*searched, str(path.parent)]
        self.users: tuple[type[User], ...] = tuple(classes.values())
        self.shapes = bool(shapes)
        self.handlers = {
            name: tuple(hook._handlers[before[name] :]) for name, hook in hooks.items()
        }

    def events(self) -> Events:
        """Locust's events with the handlers of the file, and without those of any other load."""
        events = Events()  # type: ignore[no-untyped-call]
        for name, handlers in self.handlers.items():
            for handler in handlers:
                getattr(events, name).add_listener(handler)
        return events


@functools.cache
def load(path: Path) -> Loaded:
    """Import a locustfile, once in a process. Raises whatever it raises."""
    return Loaded(path)


def _users_of(loaded: Loaded) -> Users:
    return Users(
        tuple(
            user_class.__name__ for user_class in loaded.users if issubclass(user_class, HTTP_USERS)
        ),
        tuple(
            user_class.__name__
            for user_class in loaded.users
            if not issubclass(user_class, HTTP_USERS)
        ),
        loaded.shapes,
    )


def _main() -> None:
    path, answers = Path(sys.argv[1]), int(sys.argv[2])
    sys.argv[1:] = []
    try:
        findings: Users | NotImported = _users_of(load(path))
    except BaseException as error:  # SystemExit, too: whatever the file does is told
        findings = NotImported(f"{type(error).__name__}: {error}")
    os.write(answers, json.dumps(FINDINGS.to_json(findings)).encode() + b"\n")
    os._exit(0)  # whatever it has started need not end


if __name__ == "__main__":
    _main()
