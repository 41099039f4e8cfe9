"""What the pages of an application answer when each is asked once: how each is to be loaded."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from loopbench.loadtests.bench.init.echoes import Echo, NotUpgraded, echo
from loopbench.loadtests.scenarios.custom.learning import BOUND_S, MOST_BYTES, WANTS_HOST
from loopbench.loadtests.scenarios.events import EVENTS, Lines
from loopbench.servers.contract.asking import Answer, TooLarge, Unbounded, ask, is_of_events
from loopbench.servers.contract.http import Request

_ANSWER_S, _BODY_S, _EVENTS_S = 5.0, 3.0, 1.0
"""How long a page may take; how long after its head; the same of server-sent events."""

_ALL_S = 30.0
"""How long all pages may take. Those that are left are not asked."""

Headers = tuple[tuple[str, str], ...]

_ACCEPT = ("Accept", "text/event-stream")
_WANTS_ACCEPT = frozenset({400, 406})
"""How a page of server-sent events answers who does not say that they take them."""

_WANTS_UPGRADE = frozenset({400, 426})
"""How a WebSocket answers a plain GET."""

_WHO_ASKS = 'send what it asks for, as by headers = { Authorization = "…" }'
_VALUES = 'it wants values that nobody else knows, as in path = "/search?q=tea"'
_REMEDIES = {401: _WHO_ASKS, 403: _WHO_ASKS, 407: _WHO_ASKS, 422: _VALUES}
"""What is to be done about a page, by its status."""


@dataclass(frozen=True, slots=True)
class Page:
    """A path, and how it is to be loaded.

    events: of a stream, "sse" or "lines", see EVENTS; None: it is a request.
    headers: what it must be told. echo: of a WebSocket, what it does with a message.
    why_not: why it is not to be loaded as it is. status: what it was answered with, where that is
    why.
    """

    path: str
    events: str | None = None
    headers: Headers = ()
    why_not: str | None = None
    echo: Echo | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where pages are asked for. host_header: what it answers alone, where there is such a name."""

    host: str
    port: int
    host_header: Headers


def asked(
    host: str,
    port: int,
    paths: Iterable[str],
    sockets: Iterable[str] = (),
    hosts: Iterable[str] = (),
) -> Iterator[Page]:
    """Each page, asked within bounds of time and bytes; sockets: paths of WebSockets.

    hosts: the names that the application answers alone, where it is made so."""
    place = _Place(host, port, tuple(("Host", name) for name in list(hosts)[:1]))
    end = time.monotonic() + _ALL_S
    for path in paths:
        yield _page(place, path) if time.monotonic() < end else Page(path)
    for path in sockets:
        yield _socket(place, path) if time.monotonic() < end else Page(path, echo=Echo(None))


def _page(place: _Place, path: str) -> Page:
    page = _answered(place, path, ())
    if page.status in WANTS_HOST and place.host_header:
        named = _answered(place, path, place.host_header)
        page = page if named.status == page.status else named
    if page.status in _WANTS_ACCEPT:
        again = _answered(place, path, (*page.headers, _ACCEPT))
        if again.events is not None:
            return again
    if page.status in _WANTS_UPGRADE:
        with suppress(NotUpgraded, OSError):  # then it is a page that refuses, as it was told
            return _echo(place, path, page.headers)
    return page


def _socket(place: _Place, path: str) -> Page:
    for headers in dict.fromkeys(((), place.host_header)):
        try:
            return _echo(place, path, headers)
        except (NotUpgraded, OSError) as error:
            why_not = f"its upgrade to a WebSocket failed ({error})"
    return Page(path, why_not=why_not, echo=Echo(why_not))


def _echo(place: _Place, path: str, headers: Headers) -> Page:
    behaviour = echo(place.host, place.port, path, _ANSWER_S, headers)
    return Page(path, headers=headers, why_not=behaviour.why_not, echo=behaviour)


def _answered(place: _Place, path: str, headers: Headers) -> Page:
    lines, count = Lines(), 0
    page = Page(path, headers=headers)

    def counted(piece: bytes) -> bool:
        nonlocal count
        count += lines.feed(piece)
        return False

    try:
        answer: Answer = ask(
            place.host,
            place.port,
            Request("GET", path, headers),
            bound_s=_ANSWER_S,
            body_s=_BODY_S,
            events_s=_EVENTS_S,
            most_bytes=MOST_BYTES,
            until=counted,
        )
    except Unbounded as error:
        if is_of_events(error.content_type):
            return _stream(place, page)
        if count > 1 and not isinstance(error, TooLarge):
            return replace(page, events="lines")
        return replace(page, why_not=f"its answer {error}")
    except (OSError, http.client.HTTPException) as error:
        return replace(page, why_not=f"it had no answer ({type(error).__name__}: {error})")
    if answer.status >= 400:
        return replace(page, why_not=_refused(answer.status), status=answer.status)
    return _stream(place, page) if is_of_events(answer.content_type) else page


def _refused(status: int) -> str:
    what, remedy = f"it was answered with status {status}", _REMEDIES.get(status)
    return what if remedy is None else f"{what}: {remedy}"


def _stream(place: _Place, page: Page) -> Page:
    """A page of server-sent events, where one of them comes in the time that a bench gives it."""
    events, came = EVENTS["sse"](), False

    def enough(piece: bytes) -> bool:
        nonlocal came
        came = events.feed(piece) > 0
        return came

    request = Request("GET", page.path, page.headers)
    with suppress(Unbounded, OSError, http.client.HTTPException):
        ask(place.host, place.port, request, bound_s=BOUND_S, most_bytes=MOST_BYTES, until=enough)
    why_not = None if came else f"no event of its stream came within {BOUND_S:g} s"
    return replace(page, events="sse", why_not=why_not)
