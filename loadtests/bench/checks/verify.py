"""Ask a server the contract's Cases before it is loaded."""

from __future__ import annotations

import http.client
from collections.abc import Iterable

from loopbench.loadtests.bench.checks.own_failures import expect_servers_fault
from loopbench.servers.contract import websocket_client
from loopbench.servers.contract.asking import Unbounded, ask
from loopbench.servers.contract.http import Case
from loopbench.servers.contract.websockets import Exchange

STATUS_ALONE = (
    'where its answers change now and then, check = "status" in the file of --scenarios takes them'
)
"""What is to be done where a person's own application answers otherwise than it did."""


def problems(host: str, port: int, cases: Iterable[Case]) -> list[str]:
    """What is wrong with the answers, a line a Case; empty when the contract is kept.

    Every Case gets a connection of its own, so that one broken answer does
    not make the next one look broken. Raises HarnessError where the asking side
    has no port or file left to ask with.
    """
    lines = []
    for case in cases:
        try:
            problem = _ask(host, port, case)
        except Unbounded as error:
            problem = f"the answer {error}"
        except (OSError, http.client.HTTPException) as error:
            expect_servers_fault(error)
            problem = f"{type(error).__name__}: {error}"
        if problem is not None:
            asked = f"{case.request.method} {case.request.target[:60]}"
            # A person's own requests have no other name than what is asked.
            name = asked if case.name.startswith(asked) else f"{case.name} ({asked})"
            lines.append(f"{name}: {problem}")
    return lines


def socket_problems(host: str, port: int, exchanges: Iterable[Exchange]) -> list[str]:
    """The same of WebSocket exchanges."""
    lines = []
    for exchange in exchanges:
        try:
            problem = websocket_client.problem(host, port, exchange)
        except OSError as error:
            expect_servers_fault(error)
            problem = f"{type(error).__name__}: {error}"
        if problem is not None:
            lines.append(f"{exchange.name} ({exchange.target}): {problem}")
    return lines


def _ask(host: str, port: int, case: Case) -> str | None:
    expected = case.expected
    answer = ask(host, port, case.request, head_only=expected.endless)
    problem = expected.check(answer.status, answer.body)
    return problem or expected.check_headers(answer.content_type, answer.allow)
