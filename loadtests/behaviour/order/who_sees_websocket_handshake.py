"""A WebSocket's handshake: which layers see it."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Agrees, Claim, Question
from loopbench.loadtests.behaviour.order.layers import QUART_WEBSOCKET, websocket_talk, who_sees

QUESTION = Question(
    asks="Which layers see a WebSocket, and when?",
    experiments=who_sees(websocket_talk, QUART_WEBSOCKET),
    claims=(
        Claim(
            "Middlewares are called once for a WebSocket, around all of it.",
            {"before; accepted; after*": Agrees.YES, "before; after*": Agrees.NO},
            ("aiohttp",),
        ),
        Claim(
            "before_request guards every route, a login check for instance.",
            {"before_request; *": Agrees.YES, "before_request sees nothing": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "before_request sees nothing": "A login check in before_request does not guard WebSockets: "
        "write it in before_websocket too.",
        "before; accepted; after*": "The part after the handler runs when the WebSocket has ended: "
        "a timer there measures the whole conversation.",
        "before_websocket; accepted": "What this returns is sent in place of the handshake.",
    },
)
