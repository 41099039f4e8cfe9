"""The Locust user that offers each load, by the name that the load's model gives."""

from __future__ import annotations

from importlib import import_module

from locust import User
from locust.env import Environment
from locust.runners import LocalRunner

from loopbench.loadtests.generator.session import Session
from loopbench.loadtests.generator.users.http import HarnessUser
from loopbench.loadtests.scenarios.models import Locustfile

_PACKAGE = "loopbench.loadtests.generator.users"


def runner(session: Session) -> LocalRunner:
    """Locust's, for the users of a session."""
    if any(isinstance(run.model, Locustfile) for run in session.runs):
        # Imported here: it brings the clients of both kinds of Locust's users.
        from loopbench.loadtests.generator.users import locustfile

        (run,) = session.runs
        return locustfile.runner(session, run)
    environment = Environment(user_classes=user_classes(session), catch_exceptions=False)
    return environment.create_local_runner()


def user_classes(session: Session) -> list[type[User]]:
    """One Locust user class for each load of a session."""
    return [
        type(
            f"Users_{run.load.name}",
            (_user(run.load.model.user),),
            {"fixed_count": run.users, "session": session, "run_of": run},
        )
        for run in session.runs
    ]


def _user(name: str) -> type[HarnessUser]:
    """The class of that name, MODULE.CLASS. Raises ImportError or AttributeError."""
    module, _, class_name = name.rpartition(".")
    user: type[HarnessUser] = getattr(import_module(f"{_PACKAGE}.{module}"), class_name)
    return user
