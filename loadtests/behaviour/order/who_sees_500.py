"""A handler that raises: which layers see it."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Agrees, Claim, Question
from loopbench.loadtests.behaviour.order.layers import fetch, who_sees

QUESTION = Question(
    asks="Which layers see a handler that raises?",
    experiments=who_sees(fetch("/raise")),
    claims=(
        Claim(
            "A header that is set in on_response_prepare is on every response.",
            {
                "*on_response_prepare, 500": Agrees.YES,
                "on_response_prepare sees nothing": Agrees.NO,
            },
            ("aiohttp",),
        ),
        Claim(
            "after_request does not run when a handler raises.",
            {"*after_request, 500": Agrees.NO, "after_request sees nothing": Agrees.YES},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "on_response_prepare sees nothing": "The server makes this answer itself: catch the "
        "exception in a middleware, and answer there.",
        "before; handler; send, 500; after": "The ASGI middleware sees an ordinary answer: the "
        "exception has been logged and answered inside the application.",
        "*teardown_request, no exception": "Whether the request failed cannot be told here: the "
        "exception has been dealt with by then. Roll back in an error handler.",
        "before; handler; ValueError raised": "The middleware sees the exception itself, not a "
        "response: only `try`/`except` or `finally` does something here.",
        "*errorhandler*": "A handler for Exception takes the place of the 500; log what it was "
        "given, nobody else does.",
    },
)
