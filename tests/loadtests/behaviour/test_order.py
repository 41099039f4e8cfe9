"""Middleware and hooks: turn a layer or a setting round, and the order changes with it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from loopbench.loadtests.behaviour.framework.process import Nursery, nursery
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.order import exception_in_after, middleware_order
from loopbench.loadtests.behaviour.order.appending_middleware import KINDS
from loopbench.loadtests.behaviour.order.error_middleware_404 import TARGETS
from loopbench.loadtests.behaviour.order.middleware_order import BOTH, hooks, on_aiohttp, on_quart
from tests.loadtests.behaviour.topics import AIOHTTP, QUART, Said, ask_topic

OTHER_SETTINGS = {
    "list": partial(on_aiohttp, BOTH[::-1]),
    "hooks": partial(on_quart, hooks, BOTH[::-1]),
    "wrappers": partial(on_quart, middleware_order.asgi_middlewares, BOTH[::-1]),
    "three": partial(on_aiohttp, ("a", "b", "c")),
    "no layer": partial(exception_in_after.on_quart, lambda app, seen: None),
}
"""Experiments as the Questions have them, with something turned round."""


def ask_other(key: list[str]) -> Answer:
    """Run one of OTHER_SETTINGS, in the process of an experiment."""
    return OTHER_SETTINGS[key[0]]()


@pytest.fixture(scope="module")
def other() -> Iterator[Nursery]:
    """Asks them."""
    with nursery(ask_other) as asker:
        yield asker


@pytest.fixture(scope="module")
def said() -> Said:
    return ask_topic("order", 20)


def _other(asker: Nursery, name: str) -> str:
    outcome = asker.ask((name, "", ""), 20.0)
    assert outcome.answer is not None, outcome.problem
    return outcome.answer.answer


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("list", "second in, first in, handler, first out, second out"),
        ("hooks", "second in, first in, handler, first out, second out"),
        ("wrappers", "first in, second in, handler, second out, first out"),
        ("three", "a in, b in, c in, handler, c out, b out, a out"),
    ],
)
def test_layers_registered_in_another_order_run_in_another(
    other: Nursery, name: str, answer: str
) -> None:
    """The first of a list is the outermost; of wrappers it is the last."""
    assert _other(other, name) == answer


def test_the_order_of_two_layers(said: Said) -> None:
    """Registered first, then second; ASGI middleware is outside the hooks."""
    nested = "first in, second in, handler, second out, first out"
    assert said("middleware-order", AIOHTTP, "middlewares=[first, second]") == nested
    assert said("middleware-order", QUART, "before_request, after_request") == nested
    mixed = said("middleware-order", QUART, "hooks and ASGI middleware")
    assert mixed == "ASGI middleware in, hook in, handler, hook out, ASGI middleware out"


def test_hooks_run_in_the_documented_order(said: Said) -> None:
    """What is asked is where the client's answer stands among them."""
    quart = said("hooks-order", QUART).split(", ")
    documented = ["before_request", "handler", "after_request", "teardown_request"]
    assert [event for event in quart if event in documented] == documented
    aiohttp = said("hooks-order", AIOHTTP).split(", ")
    assert aiohttp.index("middleware out") < aiohttp.index("on_response_prepare")
    assert "client has the answer" in quart and "client has the answer" in aiohttp


@pytest.mark.parametrize("topic", ["404", "500", "streams", "websocket-handshake"])
def test_asgi_middleware_sees_everything(said: Said, topic: str) -> None:
    """It stands outside the application, which answers failures itself."""
    events = said(f"who-sees-{topic}", QUART, "ASGI middleware").split("; ")
    assert events[0] == "before"
    assert events[-1] == "after"
    assert any(event.startswith("send, ") for event in events)


def test_a_middleware_meets_failures_as_exceptions(said: Said) -> None:
    """A 404 without a route too; a stream and a WebSocket as responses, at their end."""
    assert said("who-sees-404", AIOHTTP, "middleware") == "before; HTTPNotFound raised"
    assert said("who-sees-500", AIOHTTP, "middleware").endswith("ValueError raised")
    assert said("who-sees-streams", AIOHTTP, "middleware").endswith("last piece; after, 200")
    assert said("who-sees-websocket-handshake", AIOHTTP, "middleware").endswith("after, 101")


def test_hooks_for_requests_do_not_see_websockets(said: Said) -> None:
    """Those for WebSockets do, and the other way round for requests."""
    for hook in ("before", "after"):
        blind = said("who-sees-websocket-handshake", QUART, f"{hook}_request")
        assert blind == f"{hook}_request sees nothing"
        assert f"{hook}_websocket" in said(
            "who-sees-websocket-handshake", QUART, f"{hook}_websocket"
        )
        assert said("who-sees-404", QUART, f"{hook}_request").startswith(f"{hook}_request")


def test_what_is_done_with_a_response_is_done_before_its_stream(said: Said) -> None:
    """after_request and the signal see the head; ASGI middleware outlasts the last piece."""
    for stack, layer in ((QUART, "after_request"), (AIOHTTP, "on_response_prepare")):
        events = said("who-sees-streams", stack, layer).split("; ")
        assert events == [f"{layer}, 200", "first piece", "last piece"]
    assert said("who-sees-streams", QUART, "ASGI middleware").endswith("last piece; after")


@pytest.mark.parametrize("kind", KINDS)
def test_looking_at_the_type_first_leaves_the_rest_alone(said: Said, kind: str) -> None:
    """The same layer without a look breaks some of them."""
    for stack in (AIOHTTP, QUART):
        answer = said("appending-middleware", stack, f"text/plain only: {kind}")
        assert answer.startswith("404" if kind == "404" else "200")
        assert answer.endswith("appended")
        if kind in ("JSON", "binary body", "stream", "404"):
            assert answer.endswith("not appended")
    assert "no JSON" in said("appending-middleware", AIOHTTP, "response.text += line: JSON")
    assert said("appending-middleware", AIOHTTP, "response.text += line: stream") == "cut off"
    held = said("appending-middleware", QUART, "response.set_data(… + line): stream")
    assert held.endswith("held back until its end")


@pytest.mark.parametrize("target", TARGETS)
def test_a_404_stays_one_where_its_status_is_given(said: Said, target: str) -> None:
    """Not so in the version of the tutorials."""
    assert said("error-middleware-404", AIOHTTP, f"status=404, {target}") == "404, JSON"
    assert said("error-middleware-404", QUART, f"after_request, {target}") == "404, JSON"
    assert said("error-middleware-404", AIOHTTP, f"as in the tutorials, {target}") != "404, JSON"
    handled = said("error-middleware-404", QUART, f"errorhandler(404), 404, {target}")
    assert handled == ("404, not JSON" if target == "returned" else "404, JSON")


def test_the_decorator_makes_the_middleware(said: Said) -> None:
    """Without it there is a warning and no answer."""
    assert said("middleware-factory", AIOHTTP, "factory") == "200, each with its own parameter"
    without = said("middleware-factory", AIOHTTP, "factory, without @web.middleware")
    assert without.startswith("500") and without.endswith("DeprecationWarning")


def test_a_header_for_every_answer_has_its_place(said: Said) -> None:
    """The signal and ASGI middleware; a middleware comes too late for a stream."""
    assert said("header-on-prepare", AIOHTTP, "on_response_prepare") == "on all of them"
    assert said("header-on-prepare", QUART, "ASGI middleware") == "on all of them"
    assert "a stream" in said("header-on-prepare", AIOHTTP, "middleware")
    assert "404" in said("header-on-prepare", AIOHTTP, "middleware")
    caught = said("header-on-prepare", AIOHTTP, "middleware, except web.HTTPException")
    assert "404" not in caught and "a stream" in caught


def test_a_nested_application_is_inside(said: Said) -> None:
    """It sees unknown paths under its prefix, which a blueprint does not."""
    for stack, kind in ((AIOHTTP, "add_subapp"), (QUART, "Blueprint")):
        events = said("nested-app-order", stack, f"{kind}, a route").split(", ")
        assert events[:5] == ["outer in", "inner in", "handler", "inner out", "outer out"]
    assert "inner in" in said("nested-app-order", AIOHTTP, "add_subapp, no route")
    assert "inner in" not in said("nested-app-order", QUART, "Blueprint, no route")


def test_a_layer_that_answers_keeps_the_handler_from_running(said: Said) -> None:
    """What is further in is skipped, but for Quart's after hooks."""
    for stack, setting in (
        (AIOHTTP, "middleware returns a response"),
        (AIOHTTP, "middleware raises HTTPForbidden"),
        (QUART, "before_request returns a response"),
    ):
        events = said("early-return", stack, setting).split(", ")
        assert events[:2] == ["first in", "second answers"]
        assert "handler" not in events and "third in" not in events
        assert ("third out" in events) == (stack == QUART)


def test_a_layer_that_fails_takes_the_answer_with_it(said: Said, other: Nursery) -> None:
    """The same application without that layer answers."""
    assert _other(other, "no layer") == "200"
    for setting in ("after_request", "teardown_request"):
        assert said("exception-in-after", QUART, setting).startswith("500")
    assert not said("exception-in-after", AIOHTTP, "middleware").startswith("200")
    assert not said("exception-in-after", AIOHTTP, "on_response_prepare").startswith("200")


def test_cancellation_turned_on_reaches_the_middleware(said: Said) -> None:
    """With it the handler does not end; without it all runs as if the client were there."""
    calm = said("teardown-on-disconnect", AIOHTTP)
    cancelled = said("teardown-on-disconnect", AIOHTTP, "handler_cancellation=True")
    assert calm.startswith("handler ends, middleware out")
    assert cancelled == "middleware sees CancelledError, finally"
    assert said("teardown-on-disconnect", QUART).endswith("teardown_request ends")


def test_a_websocket_is_refused_where_it_is_seen(said: Said) -> None:
    """A hook for requests refuses nothing."""
    open_ = said("refuse-websocket", QUART, "before_request returns 403")
    assert open_ == "101, the handler ran"
    for stack, layer in (
        (AIOHTTP, "middleware raises HTTPForbidden"),
        (QUART, "before_websocket returns 403"),
        (QUART, "before_websocket aborts with 403"),
    ):
        assert said("refuse-websocket", stack, layer) == "403, the handler did not run"


def test_a_path_is_changed_before_the_router_only(said: Said) -> None:
    """ASGI middleware stands there; the others come when the route has been found."""
    assert said("rewrite-path", QUART, "ASGI middleware").startswith("200, /new route")
    cloned = said("rewrite-path", AIOHTTP, "middleware, request.clone(rel_url=…)")
    assert cloned == "200, /old route, request.path /new"
    assert said("rewrite-path", AIOHTTP, "middleware redirects") == "308 to /new"
