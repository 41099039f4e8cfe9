"""A streamed answer: what each layer sees of it, and before or after which piece."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Agrees, Claim, Question
from loopbench.loadtests.behaviour.order.layers import fetch, who_sees

QUESTION = Question(
    asks="When, between the pieces of a streamed answer, do the layers see it?",
    experiments=who_sees(fetch("/stream")),
    claims=(
        Claim(
            "A middleware can still change the response after the handler.",
            {
                "before; first piece; last piece; after*": Agrees.NO,
                "before; after*; first piece*": Agrees.YES,
            },
            ("aiohttp",),
        ),
        Claim(
            "teardown_request runs when the request is over.",
            {
                "first piece; last piece; teardown_request*": Agrees.YES,
                "teardown_request*; first piece; last piece": Agrees.NO,
            },
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "before; first piece; last piece; after*": "The stream is over when the middleware gets "
        "the response: headers have to be set in on_response_prepare.",
        "teardown_request*first piece*": "What teardown closes, such as a database session, is "
        "closed before the first piece is made: open what a stream needs inside its generator.",
        "after_request*first piece*": "Headers may still be set here; how long the stream takes, "
        "and whether it fails, is not known yet.",
        "*send, 200; first piece; last piece; after": "This layer sees the whole of it: a timer "
        "for streams belongs here.",
    },
)
