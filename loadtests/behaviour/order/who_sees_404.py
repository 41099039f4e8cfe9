"""A path without a route: which layers see it."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Agrees, Claim, Question
from loopbench.loadtests.behaviour.order.layers import fetch, who_sees

QUESTION = Question(
    asks="Which layers see a request for which there is no route?",
    experiments=who_sees(fetch("/missing")),
    claims=(
        Claim(
            "Middlewares are called for unknown paths too, and see an HTTPException.",
            {
                "before; HTTPNotFound raised": Agrees.YES,
                "before; after*": Agrees.PARTLY,
                "middleware sees nothing": Agrees.NO,
            },
            ("aiohttp",),
        ),
        Claim(
            "before_request and after_request run for unknown paths too.",
            {
                "before_request*": Agrees.YES,
                "after_request*404": Agrees.YES,
                "before_request sees nothing": Agrees.NO,
                "after_request sees nothing": Agrees.NO,
            },
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "before; HTTPNotFound raised": "Code after `await handler(request)` does not run for "
        "unknown paths: catch `web.HTTPException`, or use `try`/`finally`.",
        "before_request": "A hook that reads `request.url_rule` or `request.endpoint` meets None "
        "here.",
        "*sees nothing": "This one cannot be used to count or to log unknown paths.",
    },
)
