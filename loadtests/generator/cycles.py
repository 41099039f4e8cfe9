"""Over which time the answers between two instants were given, to the answer.

Servers answer in waves: 32 users whose requests a thread pool or one pass of a loop takes up
together are answered together, and ask again together. Between two fixed instants then lies one
wave more or less, by where the edges happen to fall: of nine waves in a Slice of 100 ms that is
11 %, and whoever reads the best quarter of such Slices reads those that caught a wave more. The
time is therefore taken from answer to answer: of each user, from its last answer before the window
opened to its last before it closed. Divided by the mean of these times over the users, the number
of answers is a rate without such steps. In a steady state an edge is as long behind a user's last
answer as the other, so that the mean is the window's length on average, whatever the servers do.
"""

from __future__ import annotations

from collections.abc import Iterable

from loopbench.loadtests.generator.clients.http1 import Connection

Mark = tuple[tuple[int, int], ...]
"""Of each user, how many right answers it has had, and when the last one came, in ns."""


def mark(connections: Iterable[Connection]) -> Mark:
    """How far each user is at this instant."""
    return tuple((connection.answers, connection.answered_ns) for connection in connections)


def users_ns(opened: Mark, closed: Mark) -> int | None:
    """Summed over the users, the time between the last answers before both edges.

    None where it says nothing: a user had no answer before the window opened or none in it, or
    there are other users than then. A window that is short against one answer has no steady state.
    """
    if len(opened) != len(closed) or not opened:
        return None
    users = tuple(zip(opened, closed, strict=True))
    if not all(0 < before < after for (before, _), (after, _) in users):
        return None
    return sum(after - before for (_, before), (_, after) in users)
