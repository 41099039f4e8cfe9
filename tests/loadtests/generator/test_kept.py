"""Connections that stay open from one session with a server to the next."""

from __future__ import annotations

from loopbench.loadtests.distributed.generator_process import Generator
from tests.loadtests.generator.counting import Counting
from tests.loadtests.generator.loads import begun, closed, failures, offer, opened
from tests.servers.processes import eventually

USERS = 8


def test_a_session_goes_on_with_the_connections_of_the_last(
    generator: Generator, server: Counting
) -> None:
    """None is opened anew, and none closed in between; more users than before open the rest."""
    for users in (USERS, USERS, USERS + 2, USERS):
        report = offer(generator, server, closed("/now", users), keeps_connections=True)
        assert failures(report, "measured") == {}
        assert begun(report, "measured") > 0
    assert (server.connections, server.closed) == (USERS + 2, 0)


def test_an_open_loop_does_so_too(generator: Generator, server: Counting) -> None:
    """As in a search for a limit, where the same connections serve every rate."""
    for rate_rps in (200.0, 400.0):
        load = opened("/now", rate_rps, USERS)
        report = offer(generator, server, load, keeps_connections=True)
        assert failures(report, "measured") == {}
    assert (server.connections, server.closed) == (USERS, 0)


def test_connections_are_closed_where_nobody_asks_to_keep_them(
    generator: Generator, server: Counting
) -> None:
    """Nor are kept ones lent to such a session: it may be about connecting."""
    offer(generator, server, closed("/now", USERS), keeps_connections=True)
    offer(generator, server, closed("/now", USERS))
    assert server.connections == 2 * USERS
    assert eventually(lambda: server.open == USERS)


def test_what_the_server_has_closed_is_opened_anew(generator: Generator, server: Counting) -> None:
    """Before the load, and so without a failed request."""
    for _ in range(2):
        report = offer(generator, server, closed("/now", USERS), keeps_connections=True)
        assert failures(report, "warmup") == failures(report, "measured") == {}
        server.hang_up()
        assert eventually(lambda: server.open == 0)
    assert server.connections == 2 * USERS


def test_a_connection_with_a_request_under_way_is_not_kept(
    generator: Generator, server: Counting
) -> None:
    """Its answer would be taken for that of the next request."""
    load = closed("/never", 2)
    offer(generator, server, load, keeps_connections=True, drain_s=0.1, timeout_s=0.1)
    report = offer(generator, server, closed("/now", 2), keeps_connections=True)
    assert failures(report, "measured") == {}
    assert server.connections > 2
