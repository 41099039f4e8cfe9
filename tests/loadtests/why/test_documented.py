"""The applications of the frameworks' documentation: they serve, and answer what is counted."""

from __future__ import annotations

import http.client
from contextlib import closing

import pytest

from loopbench.loadtests.why.documented import DOCUMENTED
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.stacks import STACKS


@pytest.mark.parametrize("name", DOCUMENTED)
def test_they_answer_what_is_counted(name: str) -> None:
    """Each case by the answer that the counting demands; and the greeting has its own type."""
    documented = DOCUMENTED[name]
    assert list(documented.cases) == ["index", "plain", "async", "sync"]
    with server_process(documented.stack) as server:
        for case in documented.cases.values():
            with closing(http.client.HTTPConnection(server.host, server.port)) as connection:
                connection.request(case.request.method, case.request.target)
                with connection.getresponse() as answer:
                    assert case.expected.check(answer.status, answer.read()) is None
            with closing(http.client.HTTPConnection(server.host, server.port)) as connection:
                connection.request("GET", "/hello/a%3Cb?wait_ms=0")
                with connection.getresponse() as answer:
                    assert answer.read() == b"<h1>hello, a&lt;b!</h1>"


@pytest.mark.parametrize("name", DOCUMENTED)
def test_they_run_as_their_counterpart_does(name: str) -> None:
    """The same server and loop, so that only the application differs."""
    stack, counterpart = DOCUMENTED[name].stack, STACKS[DOCUMENTED[name].counterpart]
    assert (stack.server, stack.loop, stack.adapter) == (
        *(counterpart.server, counterpart.loop, counterpart.adapter),
    )
    assert set(stack.packages) <= set(counterpart.packages)
