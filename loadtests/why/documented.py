"""Stacks whose applications are as the frameworks' own documentation shows them: what a stack costs
beside its counterpart here is what equal answers cost it.

They run like a person's own application, since they keep no contract.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from loopbench.results.schema import ROOT
from loopbench.servers.contract.cases import CASES, LOOP_REPR
from loopbench.servers.contract.http import Case, Expected
from loopbench.servers.custom import stacks as own_stacks
from loopbench.servers.custom.look import Looks
from loopbench.servers.parts import AIOHTTP, ASGI, OwnApp
from loopbench.servers.stacks import Stack

_PLACE = rb'\{"event_loop": ?%s, ?"thread": ?"%s"\}\n?'
"""With blanks or without, as each framework writes JSON."""

_ANSWERS: Mapping[str, bytes | re.Pattern[bytes]] = {
    "index": b"<h1>Index</h1>",
    "plain": b"Hello, world",
    "async": re.compile(_PLACE % (b'"' + LOOP_REPR + b'"', b"MainThread")),
    "sync": re.compile(_PLACE % (b"null", b'(?!MainThread)[^"]+')),
}
"""By case of the contract: what these applications answer to the same request."""


@dataclass(frozen=True, slots=True)
class Documented:
    """counterpart: the stack with the same framework, server and loop that answers as all do."""

    stack: Stack
    counterpart: str
    cases: Mapping[str, Case]


def _documented(
    counterpart: str, name: str, target: str, looks: Looks, host: str
) -> tuple[str, Documented]:
    own = OwnApp(f"loopbench.servers.documented.{target}", str(ROOT), "/plain")
    (row,) = own_stacks.rows(own, looks, (host,)).values()
    stack = replace(
        row,
        name=name,
        framework=looks.framework,
        summary=f"{counterpart} with the application of its framework's documentation",
    )
    cases = {
        case: replace(CASES[case], expected=Expected(200, None, body))
        for case, body in _ANSWERS.items()
    }
    return name, Documented(stack, counterpart, cases)


DOCUMENTED: Mapping[str, Documented] = dict(
    (
        _documented(
            "aiohttp",
            "aiohttp-documented",
            "aiohttp_app:create_app",
            Looks(AIOHTTP, "aiohttp", ("aiohttp",)),
            "aiohttp",
        ),
        _documented(
            "quart-hypercorn",
            "quart-documented",
            "quart_app:app",
            Looks(ASGI, "Quart", ("quart", "werkzeug")),
            "hypercorn",
        ),
    )
)
"""By name."""
