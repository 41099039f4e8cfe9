"""Every kind of Locust user, by the model of the load that it offers."""

from __future__ import annotations

from locust import User

from loopbench.loadtests.session import Session
from loopbench.loadtests.slow_users import SLOW_USERS
from loopbench.loadtests.users import HTTP_USERS, HarnessUser
from loopbench.loadtests.websocket_users import SOCKET_USERS

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
