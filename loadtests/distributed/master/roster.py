"""Which workers are there: who joins, who is refused, who is lost."""

from __future__ import annotations

import time
from typing import Any

from loopbench.loadtests.distributed.master.peers import Clock, Peer
from loopbench.loadtests.hosts.host_info import suite_version
from loopbench.loadtests.messages.workers import LOST_AFTER_S, STOOD_STILL_S, Hello
from loopbench.servers.supervision.os_stats import boot_id


class Refused(Exception):
    """A worker that may not take part; its text says why. for_now: as `workers.Refused` has it."""

    def __init__(self, why: str, for_now: bool = False) -> None:
        super().__init__(why)
        self.for_now = for_now


class Roster:
    """The workers, by Locust's names for their connections. wanted: how many are to take part.

    runner: Locust's, which knows the connections.
    """

    def __init__(self, runner: Any, wanted: int) -> None:
        self.wanted = wanted
        self._runner = runner
        self._peers: dict[str, Peer] = {}
        self._looked = time.monotonic()

    def look(self) -> None:
        """To be called every second at least: a time in which nobody did is nobody's silence."""
        now = time.monotonic()
        if now - self._looked > STOOD_STILL_S:
            for peer in self._peers.values():
                peer.stood_still_s += now - max(self._looked, peer.last_message)
        self._looked = now

    def get(self, client_id: str) -> Peer | None:
        """The worker of a connection, where it has joined."""
        return self._peers.get(client_id)

    def living(self) -> list[Peer]:
        """The workers that can be counted on, by number. Notes which are lost."""
        self.look()
        for peer in self._peers.values():
            if peer.gone is None and peer.client_id not in self._runner.clients:
                peer.gone = "it has left"
            elif peer.gone is None and peer.silent_s() > LOST_AFTER_S:
                peer.gone = f"nothing was heard of it for {peer.silent_s():.0f} s"
        living = [peer for peer in self._peers.values() if peer.gone is None]
        return sorted(living, key=lambda peer: peer.number)

    def lost(self) -> list[str]:
        """Each worker that is lost, with why."""
        return [f"worker {peer.name}: {peer.gone}" for peer in self._peers.values() if peer.gone]

    def join(self, client_id: str, hello: Hello) -> Peer:
        """Take a worker in, in the place of one that is lost. Raises Refused."""
        version, living = suite_version(), self.living()
        if hello.host.version != version:
            raise Refused(f"it runs {hello.host.version} of the suite, the master {version}")
        if len(living) >= self.wanted:
            raise Refused(
                f"the {self.wanted} workers that were asked for are there already", for_now=True
            )
        number = min(set(range(1, self.wanted + 1)) - {peer.number for peer in living})
        there = hello.host.boot_id
        same_kernel = there is not None and there == boot_id()
        peer = Peer(number, client_id, hello, Clock(same_kernel))
        for lost in [key for key, known in self._peers.items() if known.gone is not None]:
            del self._peers[lost]
        self._peers[client_id] = peer
        return peer

    def note_process_end(self, pid: int, how: str) -> None:
        """The harness has seen the end of a process that it had started here."""
        for peer in self._peers.values():
            if peer.gone is None and peer.clock.same_kernel and peer.hello.pid == pid:
                peer.gone = f"its process ended ({how})"
