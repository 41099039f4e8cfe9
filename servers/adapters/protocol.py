"""What the adapters and the rest of the suite ask of each other: to serve an application."""

from __future__ import annotations

from typing import Any, Protocol

from loopbench.servers.settings import Settings

InForce = dict[str, str | int | float | bool | None]


class Serving(Protocol):
    """One listening server, as an adapter's `serve` returns it."""

    @property
    def port(self) -> int:
        """The port that is bound, also where port 0 was asked for."""

    async def stop(self) -> None:
        """Refuse new connections, give requests in flight `grace_s`, then end them.

        Afterwards nothing of the server is left in the loop. Called once.
        """

    async def ended(self) -> None:
        """Return when the server has ended, whoever ended it; raise what made it end."""

    def in_force(self) -> InForce:
        """The settings as the live objects have them: the same keys from every stack.

        body_limit_bytes, keep_alive_s, grace_s, backlog, access_log, debug,
        http_parser, max_requests_per_connection, request_threads (how many run
        requests where no loop does), json (how an example value is written).
        None means that the stack sets no such bound, or has no such thing.
        """


class Serve(Protocol):
    """An adapter's `serve`: bind, start the application, accept connections.

    app: as the application's `create_app` made it, in this loop. host: a numeric address.
    options: the server's own, from the table of stacks.

    Raises OSError when the address cannot be bound, and whatever the application's start-up
    raises; leaves nothing behind then.
    """

    async def __call__(
        self, app: Any, host: str, port: int, settings: Settings, **options: Any
    ) -> Serving: ...


class Start(Protocol):
    """A Serve with its application and its options given: what is left to say is where."""

    async def __call__(self, host: str, port: int, settings: Settings) -> Serving: ...
