"""What the pages of an application answer when each is asked once: how each is to be loaded."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from loopbench.loadtests.bench.init.echoes import Echo, NotUpgraded, echo
from loopbench.loadtests.scenarios.custom.learning import MOST_BYTES
from loopbench.loadtests.scenarios.events import Lines
from loopbench.servers.contract.asking import Answer, TooLarge, Unbounded, ask, is_of_events
from loopbench.servers.contract.http import Request

_ANSWER_S, _BODY_S, _EVENTS_S = 5.0, 3.0, 1.0
"""How long a page may take; how long after its head; the same of server-sent events."""

_ALL_S = 30.0
"""How long all pages may take. Those that are left are not asked."""

_ACCEPT = "text/event-stream"
_WANTS_ACCEPT = ("it was answered with status 400", "it was answered with status 406")
"""How a page of server-sent events answers who does not say that they take them."""

_WANTS_UPGRADE = ("it was answered with status 400", "it was answered with status 426")
"""How a WebSocket answers a plain GET."""


@dataclass(frozen=True, slots=True)
class Page:
    """A path, and how it is to be loaded.

    events: of a stream, "sse" or "lines", see EVENTS; None: it is a request.
    accept: what it must be told that the client takes. echo: of a WebSocket, what it does with a
    message.
    why_not: why it is not to be loaded as it is.
    """

    path: str
    events: str | None = None
    accept: str | None = None
    why_not: str | None = None
    echo: Echo | None = None


def asked(
    host: str, port: int, paths: Iterable[str], sockets: Iterable[str] = ()
) -> Iterator[Page]:
    """Each page, asked within bounds of time and bytes; sockets: paths of WebSockets."""
    end = time.monotonic() + _ALL_S
    for path in paths:
        yield _page(host, port, path) if time.monotonic() < end else Page(path)
    for path in sockets:
        yield _socket(host, port, path) if time.monotonic() < end else Page(path, echo=Echo(None))


def _page(host: str, port: int, path: str) -> Page:
    page = _answered(host, port, path, {})
    if page.why_not in _WANTS_ACCEPT:
        again = _answered(host, port, path, {"Accept": _ACCEPT})
        if again.events is not None:
            return again
    if page.why_not in _WANTS_UPGRADE:
        with suppress(NotUpgraded, OSError):  # then it is a page that refuses, as it was told
            return _echo(host, port, path)
    return page


def _socket(host: str, port: int, path: str) -> Page:
    try:
        return _echo(host, port, path)
    except (NotUpgraded, OSError) as error:
        why_not = f"its upgrade to a WebSocket failed ({error})"
        return Page(path, why_not=why_not, echo=Echo(why_not))


def _echo(host: str, port: int, path: str) -> Page:
    found = echo(host, port, path, _ANSWER_S)
    return Page(path, why_not=found.why_not, echo=found)


def _answered(host: str, port: int, path: str, headers: dict[str, str]) -> Page:
    lines, count, accept = Lines(), 0, headers.get("Accept")

    def counted(piece: bytes) -> bool:
        nonlocal count
        count += lines.feed(piece)
        return False

    try:
        answer: Answer = ask(
            host,
            port,
            Request("GET", path, tuple(headers.items())),
            bound_s=_ANSWER_S,
            body_s=_BODY_S,
            events_s=_EVENTS_S,
            most_bytes=MOST_BYTES,
            until=counted,
        )
    except Unbounded as error:
        if is_of_events(error.content_type):
            return Page(path, "sse", accept)
        if count > 1 and not isinstance(error, TooLarge):
            return Page(path, "lines", accept)
        return Page(path, why_not=f"its answer {error}")
    except (OSError, http.client.HTTPException) as error:
        return Page(path, why_not=f"it had no answer ({type(error).__name__}: {error})")
    if answer.status >= 400:
        return Page(path, why_not=f"it was answered with status {answer.status}")
    return Page(path, "sse" if is_of_events(answer.content_type) else None, accept)
