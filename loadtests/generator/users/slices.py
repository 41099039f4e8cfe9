"""The Locust users of a Block: loops, closed or open, that wait for their server's turn."""

from __future__ import annotations

from typing import Any

from locust import User

from loopbench.loadtests.generator.block import Block
from loopbench.loadtests.generator.clients.http1 import Connection
from loopbench.loadtests.generator.lanes import Lane, OpenLane
from loopbench.loadtests.generator.session import LoadRun
from loopbench.loadtests.generator.users.http import HarnessUser, closed_loop, open_loop, record


class SliceUser(HarnessUser):
    """Loads its server while its lane has a Slice, and else waits."""

    def drive(self, session: Any, run: LoadRun, connection: Connection, index: int) -> None:
        lane: Lane = session
        while not lane.aborted:
            lane.turn.wait()
            if lane.aborted:
                return
            try:
                self.visit(lane, run, connection)
            finally:
                lane.park()

    def visit(self, lane: Any, run: LoadRun, connection: Connection) -> None:
        """This user's part in a Slice."""
        raise NotImplementedError


class ClosedSliceUser(SliceUser):
    """Sends requests one after another."""

    def visit(self, lane: Lane, run: LoadRun, connection: Connection) -> None:
        answered_ns = self.first(lane, run, connection)
        closed_loop(run, connection, lane.start_realtime_ns, answered_ns)

    def first(self, lane: Lane, run: LoadRun, connection: Connection) -> int:
        """The request that begins a Slice; the window opens when every user's is answered. When its
        answer arrived, or 0."""
        series = run.series
        problem = connection.exchange(run.payload, run.book)
        lane.first_answered()  # the Block goes on when this user gives way, and not before
        return record(series, problem, connection, lane.start_realtime_ns)


class OpenSliceUser(SliceUser):
    """Sends the requests of the Slice's arrivals when they are due."""

    def visit(self, lane: OpenLane, run: LoadRun, connection: Connection) -> None:
        due_from = lane.visit_ns, lane.visit_realtime_ns
        open_loop(run, connection, due_from, lane.start_realtime_ns, lane.over)


_USERS: dict[type[Lane], type[SliceUser]] = {Lane: ClosedSliceUser, OpenLane: OpenSliceUser}


def user_classes(block: Block) -> list[type[User]]:
    """One Locust user class for each target of a Block."""
    return [
        type(
            f"Users_{lane.number}",
            (_USERS[type(lane)],),
            {"fixed_count": lane.run.users, "session": lane, "run_of": lane.run},
        )
        for lane in block.lanes.values()
    ]
