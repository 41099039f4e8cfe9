"""What a person's own application answers, learned before the load by asking it."""

from __future__ import annotations

import http.client
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.events import EVENTS
from loopbench.servers import starting
from loopbench.servers.contract.asking import (
    Answer,
    TooLarge,
    Unbegun,
    Unbounded,
    ask,
    is_of_events,
)
from loopbench.servers.contract.http import Expected, Request, comparable_allow, comparable_type
from loopbench.servers.custom.traceback_text import last_traceback
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.stacks import Stack

ASKED = (2, 1)
"""How often each request is asked before the load, in one process and in a second."""

MOST_BYTES = 16 * 1024 * 1024
"""Of one answer. The generator and the harness keep it, to hold every other to it."""

BOUND_S = 8.0
"""For each answer while they are learned, and for what follows the head of the first one: one
without end is refused within 10 s."""

WANTS_HOST = frozenset({400, 403, 404, 421})
"""How an application answers whoever asks for another host than its own."""

_EVENTS_S = 4.0
"""After the head of an answer of server-sent events: most have no end, and whoever asks for one by
mistake waits for this."""

_SSE = "text/event-stream"

ANY_BODY = re.compile(rb"(?s:.*)")


def learn(
    stack: Stack,
    requests: Iterable[Request],
    streams: Mapping[Request, str],
    hosts: Sequence[str] = (),
) -> dict[Request, Expected]:
    """What each request is answered, asked as often as ASKED says.

    streams: those that are answered with events, of a kind of EVENTS: they are read to the first.
    hosts: the names of hosts that the application answers alone, where it is made so.
    Where the bytes differ from asking to asking (a time, a number, a port), any body will do.
    Raises ServerError where the application does not start, HarnessError for an answer
    that is not to be measured or whose status differs.
    """
    wanted = list(dict.fromkeys(requests))
    # These are its first requests, so that what is wrong with an answer is seen at the first one:
    # an application whose client has left may hold its loop for as long as the answer would last.
    silent = stack if stack.own is None else replace(stack, own=replace(stack.own, path=None))
    answers: dict[Request, list[Expected]] = {request: [] for request in wanted}
    with _Log() as log:
        for times in ASKED:
            with server_process(silent, log=log.path) as server:
                bound_s = starting.first_answer_s(stack)
                for request in wanted * times:
                    before = answers[request]
                    asking = _Asking(server.host, server.port, request, bound_s)
                    try:
                        if request in streams:
                            answer = _ask_stream(asking, streams[request])
                        else:
                            answer = _ask(asking, before)
                    except Unbegun as error:
                        raise _unbegun(stack, asking) from error
                    if answer.status >= 500:
                        raise _failed(request, answer, log)
                    before.append(answer)
                    bound_s = BOUND_S
    agreed = {request: _agreed(request, answer, hosts) for request, answer in answers.items()}
    for request in streams:
        if not agreed[request].endless:
            raise _no_event(request, "ended without an event")
    return agreed


@dataclass(frozen=True, slots=True)
class _Asking:
    """A request that is asked while answers are learned. bound_s: for its whole answer."""

    host: str
    port: int
    request: Request
    bound_s: float

    @property
    def what(self) -> str:
        """As a person is told of it."""
        return f"{self.request.method} {self.request.target}"


class _Log:
    """The servers' log while answers are learned. It stays where it is of use to a person."""

    def __init__(self) -> None:
        descriptor, name = tempfile.mkstemp(prefix="loopbench-", suffix=".log")
        os.close(descriptor)
        self.path, self.keep = Path(name), False

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if not self.keep:
            self.path.unlink(missing_ok=True)


def _failed(request: Request, answer: Expected, log: _Log) -> HarnessError:
    """With the end of the handler's traceback, where it has left one."""
    what = f"{request.method} {request.target} was answered with status {answer.status}"
    raised, log.keep = last_traceback(log.path), True
    if raised is None:
        return HarnessError(
            f"{what}, and its log has no traceback, as where an application has a log of its own; "
            f"correct the application, or name another path (its log: {log.path})"
        )
    return HarnessError(
        f"{what}: {raised}; correct the application, or name another path (its log: {log.path})"
    )


def _unbegun(stack: Stack, asking: _Asking) -> HarnessError:
    remedy = "correct the handler, or name another path"
    if asking.bound_s != BOUND_S:
        remedy = starting.longer(stack)
    return HarnessError(
        f"{stack.name} did not answer {asking.what} within {asking.bound_s:g} s; {remedy}"
    )


def _agreed(request: Request, answers: list[Expected], hosts: Sequence[str]) -> Expected:
    first, what = answers[0], f"{request.method} {request.target}"
    bad = next((answer for answer in answers if not 200 <= answer.status < 400), None)
    if bad is not None:
        remedy = _naming(request, bad.status, hosts) or _remedy(bad.status)
        raise HarnessError(f"{what} was answered with status {bad.status}; {remedy}")
    for field, comparable in _COMPARED.items():
        values = {comparable(getattr(answer, field)): getattr(answer, field) for answer in answers}
        if len(values) > 1:
            before, then, *_ = values.values()
            raise HarnessError(
                f"{what} was answered with another {_FIELDS[field]} from asking to asking "
                f"({before!r}, then {then!r}); name a path whose answers are alike"
            )
    if all(answer.body == first.body for answer in answers):
        return first
    return replace(first, body=ANY_BODY)


_COMPARED: dict[str, Callable[[Any], str]] = {
    "status": str,
    "content_type": comparable_type,
    "allow": comparable_allow,
}
_FIELDS = {"status": "status", "content_type": "content type", "allow": "Allow header"}


def _naming(request: Request, status: int, hosts: Sequence[str]) -> str | None:
    """The remedy where another host than the application's may have been asked for."""
    if status not in WANTS_HOST or not hosts:
        return None
    if any(name.lower() == "host" and value in hosts for name, value in request.headers):
        return None
    name = hosts[0]
    return (
        f"it is made to answer for {', '.join(hosts)} alone: send that by --header 'Host: {name}', "
        f'or by headers = {{ Host = "{name}" }} in the file of --scenarios'
    )


def _remedy(status: int) -> str:
    if status in (401, 403, 407):
        return (
            "it wants to know who asks: send what it needs by --header 'Authorization: …', or by "
            'headers = { Authorization = "…" } in the file of --scenarios'
        )
    return "name a path and a method that the application answers with 200 to 399"


def _answered(asking: _Asking, remedy: str, **bounds: Any) -> Answer:
    """Raises Unbounded, and HarnessError with the remedy where there is no answer at all."""
    try:
        return ask(
            asking.host,
            asking.port,
            asking.request,
            bound_s=asking.bound_s,
            body_s=BOUND_S,
            most_bytes=MOST_BYTES,
            **bounds,
        )
    except (OSError, http.client.HTTPException) as error:
        raise HarnessError(
            f"{asking.what} had no answer ({type(error).__name__}: {error}); {remedy}"
        ) from error


def _ask_stream(asking: _Asking, kind: str) -> Expected:
    """The head, and whether an event came, in `endless`."""
    request, what, events, came = asking.request, asking.what, EVENTS[kind](), False

    def enough(piece: bytes) -> bool:
        nonlocal came
        came = events.feed(piece) > 0
        return came

    try:
        answer = _answered(asking, "name a path with a stream", until=enough)
    except Unbegun:
        raise
    except Unbounded as error:
        raise _no_event(request, str(error)) from error
    if came and kind == "sse" and not is_of_events(answer.content_type):
        raise HarnessError(
            f"{what} is answered with the content type {answer.content_type!r}, where server-sent "
            f'events have {_SSE}; correct the application, or say events = "lines"'
        )
    return Expected(
        answer.status, answer.content_type, ANY_BODY, answer.allow, endless=came, learned=True
    )


def _no_event(request: Request, how: str) -> HarnessError:
    return HarnessError(
        f"the answer to {request.method} {request.target} {how}, and no event was seen in it; "
        'events = "sse" takes a blank line as the end of an event, and "lines" every line'
    )


def _ask(asking: _Asking, before: list[Expected]) -> Expected:
    what = asking.what
    try:
        answer = _answered(asking, "name a path that ends with an answer", events_s=_EVENTS_S)
    except Unbegun:
        raise
    except TooLarge as error:
        raise HarnessError(
            f"the answer to {what} {error}: it is too large to be measured; name a path with a "
            'smaller answer, or ask for a part of it by headers = { Range = "bytes=0-65535" } in '
            "the file of --scenarios, where the application knows that header"
        ) from error
    except Unbounded as error:
        raise HarnessError(
            f"the answer to {what} {error}; an answer without end, such as server-sent events, "
            "is not measured as a request: name a path whose answer ends, or "
            'measure its events, by kind = "stream" in the file of --scenarios'
        ) from error
    if answer.unpacks_beyond(MOST_BYTES):
        raise HarnessError(
            f"the answer to {what} has {len(answer.body):,} bytes that unpack to more than "
            f"{MOST_BYTES:,}, which would fill the memory of whoever reads it; name another path"
        )
    # An equal body is kept once, however often it came.
    body = before[0].body if before and before[0].body == answer.body else answer.body
    return Expected(answer.status, answer.content_type, body, answer.allow, learned=True)
