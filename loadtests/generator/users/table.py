"""The Locust user that offers each load, by the name that the load's model gives."""

from __future__ import annotations

from importlib import import_module

from locust import User

from loopbench.loadtests.generator.session import Session
from loopbench.loadtests.generator.users.http import HarnessUser

_PACKAGE = "loopbench.loadtests.generator.users"


def user_classes(session: Session) -> list[type[User]]:
    """One Locust user class for each load of a session."""
    return [
        type(
            f"Users_{run.load.name}",
            (_user(run.load.model.user),),
            {"abstract": False, "fixed_count": run.users, "session": session, "run_of": run},
        )
        for run in session.runs
    ]


def _user(name: str) -> type[HarnessUser]:
    """The class of that name, MODULE.CLASS. Raises ImportError or AttributeError."""
    module, _, class_name = name.rpartition(".")
    user: type[HarnessUser] = getattr(import_module(f"{_PACKAGE}.{module}"), class_name)
    return user
