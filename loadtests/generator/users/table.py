"""Every kind of Locust user, by the model of the load that it offers."""

from __future__ import annotations

from locust import User

from loopbench.loadtests.generator.session import Session
from loopbench.loadtests.generator.users.http import HTTP_USERS, HarnessUser
from loopbench.loadtests.generator.users.slow import SLOW_USERS
from loopbench.loadtests.generator.users.websocket import SOCKET_USERS

USERS: dict[str, type[HarnessUser]] = {**HTTP_USERS, **SLOW_USERS, **SOCKET_USERS}


def user_classes(session: Session) -> list[type[User]]:
    """One Locust user class for each load of a session."""
    return [
        type(
            f"Users_{run.load.name}",
            (USERS[run.load.model.kind],),
            {"abstract": False, "fixed_count": run.users, "session": session, "run_of": run},
        )
        for run in session.runs
    ]
