"""The harness's side of several workers: the master, and the workers of this machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.distributed.keys import make_key
from loopbench.loadtests.errors import GeneratorDied, HarnessError
from loopbench.loadtests.hosts.address import is_loopback
from loopbench.loadtests.messages import generator as messages
from loopbench.loadtests.messages.reports import Report
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.results.schema import ROOT
from loopbench.servers.lifecycle.process import open_log
from loopbench.servers.supervision.child_process import Child, interrupts_deferred, lasting_parent
from loopbench.servers.supervision.scratch import scratch_folder

JOIN_BOUND_S = 60.0
"""For workers of this machine, and for one that is to come back between two Runs."""

REMOTE_BOUND_S = 600.0
"""For workers that people start elsewhere."""

_STOP_BOUND_S = 5.0
_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Fleet:
    """How many workers share the loads, and where they are.

    bind: where the master listens, HOST:PORT; port 0 is any free one.
    remote: whether people start them elsewhere; else the harness starts them here.
    key_file: the secret that they share with the master. Without one a key is made for the time of
    the bench, but for workers that people start and that reach the master over loopback.
    """

    workers: int
    bind: str = "127.0.0.1:0"
    remote: bool = False
    key_file: Path | None = None

    @property
    def host(self) -> str:
        """Where the master listens, without the port."""
        return self.bind.rpartition(":")[0]

    def to_json(self) -> dict[str, int]:
        """What plan.json keeps of it."""
        return {"workers": self.workers}


class FleetGenerator:
    """A master with its workers, in the place of one generator. Use `fleet_process`."""

    def __init__(
        self,
        master: Generator,
        port: int,
        fleet: Fleet,
        cpus: list[frozenset[int] | None],
        key_file: Path | None,
        errors: IO[bytes],
        say: Callable[[str], None],
    ) -> None:
        self._master = master
        self._port = port
        self._fleet = fleet
        self._key = _key_option(key_file)
        self._cpus = cpus
        self._errors = errors
        self._say = say
        self._children: dict[int, Child] = {}
        self._ends_sent: set[int] = set()

    @property
    def pid(self) -> int:
        """Of the master."""
        return self._master.pid

    @property
    def alive(self) -> bool:
        return self._master.alive

    def load(
        self, spec: SessionSpec, *, bound_s: float, at: messages.At, give_up: Callable[[], bool]
    ) -> Report:
        """As Generator.load, once all workers are there.

        Raises GeneratorDied where all of them were lost, and HarnessError where one has
        not come back, or did not run the load.
        """
        self.await_workers(JOIN_BOUND_S)

        def look() -> bool:
            self._send_ends()
            return give_up()

        return self._master.load(spec, bound_s=bound_s, at=at, give_up=look, say=self._handle)

    def await_workers(self, bound_s: float) -> tuple[messages.GatheredWorker, ...]:
        """Start the local workers that are missing, and wait until all are there. Raises
        HarnessError."""
        if not self._fleet.remote:
            self._start_missing()
        self._master.send(messages.Gather(bound_s))
        deadline = time.monotonic() + bound_s + _STOP_BOUND_S
        while not isinstance(event := self._master.next_event(_POLL_S), messages.Gathered):
            self._handle(event)
            for child in self._children.values():
                if child.exited:
                    raise HarnessError(f"a load worker did not come up: {_how_it_ended(child)}")
            if time.monotonic() > deadline:
                raise GeneratorDied("the Locust master fell silent")
        if len(event.workers) < self._fleet.workers:
            because = f" ({'; '.join(event.gone)})" if event.gone else ""
            raise HarnessError(
                f"{len(event.workers)} of {self._fleet.workers} workers were there after "
                f"{bound_s:.0f} s{because}; rows are kept: start the others and go on with --resume"
            )
        return event.workers

    def _handle(self, event: messages.GeneratorEvent | None) -> None:
        """Say who joins from elsewhere, and who is refused."""
        match event:
            case messages.Joined(worker, there, wanted) if self._fleet.remote:
                self._say(f"worker {worker} has joined, {there} of {wanted}")
            case messages.RefusedWorker(who=who, why=why):
                self._say(f"{who} was refused: {why}")

    def _start_missing(self) -> None:
        self._send_ends()
        for number, cpus in enumerate(self._cpus):
            child = self._children.get(number)
            if child is not None and child.exited:
                child.stop(_STOP_BOUND_S)
            if child is None or child.exited:
                with interrupts_deferred():
                    self._children[number] = Child(self._command(cpus), ROOT, self._errors)

    def _command(self, cpus: frozenset[int] | None) -> tuple[str, ...]:
        pinned = () if cpus is None else ("--cpus", ",".join(map(str, sorted(cpus))))
        to_master = ("--master", f"127.0.0.1:{self._port}", "--piped")
        return _module("worker", *to_master, *self._key, *pinned)

    def _send_ends(self) -> None:
        """Send the master the ends of local workers, which only their parent sees at once."""
        for child in self._children.values():
            if child.exited and child.pid not in self._ends_sent:
                self._ends_sent.add(child.pid)
                self._master.send(messages.WorkerEnded(child.pid, _how_it_ended(child)))

    def stop(self) -> None:
        """Stop the local workers; those elsewhere end when the master tells them."""
        for child in self._children.values():
            child.stop(_STOP_BOUND_S)


@contextmanager
def fleet_process(
    fleet: Fleet, *, cpus: list[frozenset[int] | None], log: Path | None, say: Callable[[str], None]
) -> Iterator[FleetGenerator]:
    """Start the master and wait for its workers; end all that was started whatever happens.

    cpus: of each local worker. say: called with a line for each worker that joins from elsewhere,
    and for each that is refused.
    Raises HarnessError where not all come, and GeneratorDied where the master does not.
    """
    with ExitStack() as cleanup:
        errors = cleanup.enter_context(open_log(log))
        key_file = cleanup.enter_context(_key_of(fleet))
        listening = ("--bind", fleet.bind, "--workers", str(fleet.workers))
        command = _module("master", *listening, *_key_option(key_file))
        with interrupts_deferred():
            child = Child(command, ROOT, errors)
            cleanup.callback(child.stop, _STOP_BOUND_S)
        master = Generator(child)
        port = master.await_ready().port
        assert port is not None
        running = FleetGenerator(master, port, fleet, cpus, key_file, errors, say)
        cleanup.callback(running.stop)
        if fleet.remote:
            say(_where_to_join(fleet, port, key_file))
        running.await_workers(REMOTE_BOUND_S if fleet.remote else JOIN_BOUND_S)
        yield running


def _how_it_ended(child: Child) -> str:
    """Of a process that has ended by itself: its exit status and last words, or the signal."""
    code = child.stop(_STOP_BOUND_S).exit_code or 0
    if code < 0:
        return f"signal {-code}"
    return f"exit status {code}, {child.last_words() or 'no word'}"


def _module(name: str, *options: str) -> tuple[str, ...]:
    """The command of a module beside this one, which dies with this process where it can."""
    parent = lasting_parent()
    dying = () if parent is None else ("--parent", str(parent))
    return (sys.executable, "-m", f"loopbench.loadtests.distributed.{name}", *options, *dying)


@contextmanager
def _key_of(fleet: Fleet) -> Iterator[Path | None]:
    """The key file of a fleet: its own, or one that is removed at the end; None for no key."""
    if fleet.key_file is not None or (fleet.remote and is_loopback(fleet.host)):
        yield fleet.key_file
        return
    with scratch_folder() as folder:
        yield make_key(folder / "key")


def _key_option(key_file: Path | None) -> tuple[str, ...]:
    return () if key_file is None else ("--key-file", str(key_file))


def _where_to_join(fleet: Fleet, port: int, key_file: Path | None) -> str:
    where = (
        f"waiting for {fleet.workers} workers; on each load host: "
        f"python -m loadtests worker --master {fleet.host}:{port}"
    )
    if key_file is None:
        return where
    return f"{where} --key-file KEY, where KEY is a copy of {key_file}"
