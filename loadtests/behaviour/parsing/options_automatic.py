"""OPTIONS, for which nobody has written a handler."""

from __future__ import annotations

from functools import partial

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.parsing.exchanging import both
from loopbench.loadtests.behaviour.parsing.other_methods import SERVERS, ask, on_quart

QUESTION = Question(
    asks="Is OPTIONS answered without a handler for it?",
    experiments=(
        *both(DEFAULT, ask, "OPTIONS", servers=SERVERS),
        Experiment(
            "quart-hypercorn",
            "PROVIDE_AUTOMATIC_OPTIONS=False",
            partial(ask, partial(on_quart, options=False), "OPTIONS"),
        ),
    ),
    claims=(
        Claim(
            "OPTIONS is answered by itself, as in Flask.",
            {"200*": Agrees.YES, "405*": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "405*": "A browser's preflight fails: OPTIONS needs a handler, one's own or that of a CORS "
        "package.",
        "200*": "It says which methods are there. It is no permission for a browser's preflight, "
        "whose headers it does not set.",
    },
)
