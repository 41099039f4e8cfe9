"""State: turn a key, a setting or a way round, and what is found changes with it."""

from __future__ import annotations

import pytest

from loopbench.loadtests.behaviour.framework.question import NONE
from loopbench.loadtests.behaviour.state.request_context_in_task import WAYS
from tests.loadtests.behaviour.topics import AIOHTTP, QUART, Said, ask_topic


@pytest.fixture(scope="module")
def said() -> Said:
    return ask_topic("state", 20)


@pytest.mark.parametrize(
    ("question", "by_string", "by_key"),
    [
        ("app-keys", 'app["limit"]', 'web.AppKey("limit", int)'),
        ("request-storage", 'request["user"]', 'web.RequestKey("user", str)'),
        ("response-storage", 'response["cost"]', 'web.ResponseKey("cost", str)'),
    ],
)
def test_a_typed_key_takes_the_warning_away(
    said: Said, question: str, by_string: str, by_key: str
) -> None:
    """A string works as before, and is warned of."""
    assert said(question, AIOHTTP, by_string).endswith("NotAppKeyWarning")
    assert "Warning" not in said(question, AIOHTTP, by_key)


def test_keys_of_one_name_are_two(said: Said) -> None:
    """Strings of one name are one."""
    assert said("app-keys", AIOHTTP, 'web.AppKey("limit", int)').startswith("kept apart")
    assert said("app-keys", AIOHTTP, 'app["limit"]').startswith("the later one counts")


def test_a_request_keeps_its_state_to_itself(said: Said) -> None:
    """The next one on the same connection does not find it."""
    ways = ((AIOHTTP, 'web.RequestKey("user", str)'), (QUART, "g.user"), (QUART, "request.user"))
    for stack, setting in ways:
        kept = said("request-storage", stack, setting)
        assert kept == "found by the handler, gone with the request"
    assert said("g-lifetime", QUART, "in the next request") == "not found"


def test_a_response_carries_state_on_one_stack(said: Said) -> None:
    """On the other, `g` does."""
    found = said("response-storage", AIOHTTP, 'web.ResponseKey("cost", str)')
    assert found == "found by middleware and on_response_prepare"
    assert said("response-storage", QUART, 'response["cost"]') == NONE
    assert said("response-storage", QUART, "g.cost").startswith("found by after_request")


def test_look_up_goes_outwards_where_it_is_asked_to(said: Said) -> None:
    """`request.app` is the nested application alone; `config_dict` begins there."""
    assert said("nested-lookup", AIOHTTP, "request.app[key]") == "KeyError"
    assert said("nested-lookup", AIOHTTP, "request.config_dict[key]") == "the outer one's"
    both = said("nested-lookup", AIOHTTP, "request.config_dict[key], both have it")
    assert both == "the nested one's"
    assert said("nested-lookup", QUART, 'current_app.config["LIMIT"]') == "the outer one's"


def test_a_started_application_is_frozen_on_one_stack(said: Said) -> None:
    """Routes and middlewares are refused, keys warned of; a value in it may change."""
    for change in ("app.router.add_get", "app.middlewares.append"):
        refused = said("change-after-start", AIOHTTP, change)
        assert refused == "RuntimeError, it has no effect"
    set_key = said("change-after-start", AIOHTTP, "app[key] = …")
    assert set_key == "DeprecationWarning, it takes effect"
    within = said("change-after-start", AIOHTTP, "app[key] is changed within")
    assert within == "nothing is said, it takes effect"


def test_a_setting_that_is_changed_is_obeyed(said: Said) -> None:
    """The framework's own limit as well as one's own value."""
    for name in ("LIMIT", "MAX_CONTENT_LENGTH"):
        obeyed = said("config-after-start", QUART, f'app.config["{name}"]')
        assert obeyed == "the next request obeys it"
    assert said("config-after-start", AIOHTTP, "client_max_size") == NONE


def test_g_ends_with_its_context(said: Said) -> None:
    """Found in what belongs to the request, and not in any other context."""
    found = {
        place: said("g-lifetime", QUART, place)
        for place in (
            "in a coroutine that the handler awaits",
            "in teardown_appcontext",
            "in app.add_background_task",
            "in a new app_context",
            "set in before_serving",
        )
    }
    assert list(found.values()) == ["found", "found", "not found", "not found", "not found"]


def test_a_websocket_has_no_request(said: Said) -> None:
    """It has `websocket`, and `g`, for as long as it lasts."""
    assert said("state-in-websocket", QUART, "request.args").startswith("RuntimeError")
    whole = "found Ada, the same for the second message"
    assert said("state-in-websocket", QUART, "websocket.args") == whole
    assert said("state-in-websocket", QUART, "g, set in before_websocket") == whole
    assert said("state-in-websocket", AIOHTTP, "request[key], set in a middleware") == whole


def test_a_secret_key_turns_the_session_on(said: Said) -> None:
    """It is then signed; without the key nothing can be stored."""
    assert said("session-default", QUART).startswith("500")
    kept = said("session-default", QUART, "app.secret_key")
    assert kept.startswith("200, kept in a cookie") and kept.endswith("but not change it")


def test_a_body_that_was_read_is_there_later(said: Said) -> None:
    """One that was not cannot be read any more, once the request is answered."""
    late = said("request-context-in-task", AIOHTTP, "the request is passed on")
    early = said(
        "request-context-in-task", AIOHTTP, "the request is passed on, its body read before"
    )
    assert early.endswith("the body there")
    assert not late.endswith("the body there")


def test_the_context_goes_where_context_variables_go(said: Said) -> None:
    """A bare thread of the pool has none; every other way has the request."""
    for way in WAYS:
        there = said("request-context-in-task", QUART, way).startswith("request.args there")
        assert there == (way != "run_in_executor")
    own = said("request-context-in-task", QUART, "app.add_background_task")
    assert own.endswith("g empty")
