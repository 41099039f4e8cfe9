"""What a Scenario is made of: Loads, and the models by which they are offered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Self

from loopbench.loadtests.scenarios.arrivals import Arrivals
from loopbench.loadtests.scenarios.model import (
    MODELS,
    Model,
    OfConnections,
    Offered,
    OfUsers,
    Schedule,
    divide,
    load_model,
)
from loopbench.results.schema import Code, Family, Role, Work
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.servers.contract.http import Case
from loopbench.servers.contract.routes import WS_ROUTES, route_of
from loopbench.servers.settings import Settings
from loopbench.servers.supervision.messages import Vocabulary


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


@load_model(LoadKind.CLOSED, "http.ClosedLoopUser", waits_for_answers=True, counts_requests=True)
@dataclass(frozen=True, slots=True)
class Closed(OfUsers):
    """Each of `users` sends its next request when the last answer is in.

    ramp_s: the users' first requests are spread evenly over this time, within
    the warm-up. Users that all wait for the same time would otherwise stay in
    step for ever, and a window would catch a whole wave too many or too few.
    new_connections: every request opens a connection of its own and closes it;
    its response time begins before it connects, its service time at the send.
    first_byte: the arrival of each answer's first bytes is recorded, too.
    think_min_s, think_max_s: how long a user waits after each answer, drawn evenly between them.
    """

    ramp_s: float = 0.0
    new_connections: bool = False
    first_byte: bool = False
    think_min_s: float = 0.0
    think_max_s: float = 0.0

    @property
    def reconnects(self) -> bool:
        """Where it was asked for."""
        return self.new_connections

    @property
    def think_s(self) -> float | None:
        """The mean."""
        return (self.think_min_s + self.think_max_s) / 2 or None

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        fresh = ", a new connection for every request" if self.new_connections else ""
        least, most = self.think_min_s, self.think_max_s
        thinking = f" that wait {least:g} to {most:g} s after each answer" if most else ""
        return f"closed loop, {_count(self.users, 'user')}{thinking}{fresh}"


@load_model(LoadKind.OPEN, "http.OpenLoopUser", counts_requests=True)
@dataclass(frozen=True, slots=True)
class Open(Offered):
    """Requests are scheduled as a Poisson process, whatever the server does.

    rate_rps: mean arrivals a second. connections: the most requests that can
    be under way at once; an arrival that finds none free waits for one, and
    is charged with that wait.
    """

    rate_rps: float
    connections: int

    @property
    def population(self) -> int:
        """As many as it has connections."""
        return self.connections

    @property
    def arrival_rate_rps(self) -> float | None:
        """Its rate."""
        return self.rate_rps

    def schedule(self, end_ns: int, seed: str) -> Schedule | None:
        """Drawn from the seed."""
        return Arrivals(self.rate_rps, end_ns, seed)

    def shares(self, workers: int, first: int) -> list[Self | None]:
        """The connections, evenly, and the rate over the workers that have one.

        Each draws arrivals of its own: independent Poisson processes add up to one
        (superposition).
        """
        counts = divide(self.connections, workers, first)
        busy = sum(count > 0 for count in counts)
        return [
            replace(self, rate_rps=self.rate_rps / busy, connections=count) if count else None
            for count in counts
        ]

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        return f"open loop, {self.rate_rps:g} a second over {self.connections} connections"


@load_model(LoadKind.IDLE, "http.IdleUser")
@dataclass(frozen=True, slots=True)
class Idle(OfConnections):
    """Connections that each send one request during the lead-in and are then held open."""

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        return f"{self.connections} connections that send one request and are then held open"


@load_model(LoadKind.SLOW, "slow.SlowUser")
@dataclass(frozen=True, slots=True)
class Slow(OfConnections):
    """Connections that ask for an answer and read it slowly, or not at all.

    rate_bytes_s: what each of them reads a second; 0: nothing for the whole load.
    window_bytes: the kernel's receive buffer of each, so that what is not read stays with the
    server. What has come is held to the expected answer; one that is not complete by the end of
    the load is neither a request nor a failure.
    """

    rate_bytes_s: int = 0
    window_bytes: int = 4096

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        read = f"read {self.rate_bytes_s:,} bytes a second" if self.rate_bytes_s else "read nothing"
        return f"{self.connections} connections that ask, and then {read}"


@load_model(LoadKind.STREAM, "stream.StreamUser", counts_requests=True)
@dataclass(frozen=True, slots=True)
class Stream(OfConnections):
    """Connections that each ask for an answer which need not end, and read its events.

    events: how they are told apart, a key of EVENTS. An answer that does end is asked for again.
    An event's service time is the time since the event before it; of the first, since the send.
    """

    events: str

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        return f"{_count(self.connections, 'connection')} that each read the events of a stream"


@load_model(LoadKind.LOCUSTFILE, "locustfile", counts_requests=True)
@dataclass(frozen=True, slots=True)
class Locustfile(OfUsers):
    """The users of a person's own locustfile, with their tasks, weights and wait times.

    file: its path. spawn_rate: how many of them begin a second; 0: all at once.
    """

    file: str
    spawn_rate: float

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        return f"{_count(self.users, 'user')} of a locustfile"


@load_model(LoadKind.ECHO, "websocket.EchoUser", waits_for_answers=True, counts_requests=True)
@dataclass(frozen=True, slots=True)
class Echo(OfUsers):
    """Each of `users` sends its next message on its WebSocket when the last one is back.

    new_connections: every message has a connection of its own; its response time begins before
    it connects, its service time at the send of the message.
    """

    size_bytes: int
    new_connections: bool = False

    @property
    def reconnects(self) -> bool:
        """Where it was asked for."""
        return self.new_connections

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        fresh = ", a new connection for every message" if self.new_connections else ""
        return (
            f"messages of {self.size_bytes} bytes to and fro, {_count(self.users, 'user')}{fresh}"
        )


@load_model(LoadKind.PUSHED, "websocket.PushedUser", counts_requests=True, counts_deliveries=True)
@dataclass(frozen=True, slots=True)
class Pushed(OfConnections):
    """Each connection is pushed `rate` messages a second by the server, and says nothing.

    A message's service time begins when the server meant to send it.
    """

    rate: int

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        return f"{self.rate} messages a second pushed to each of {self.connections} connections"


@load_model(
    LoadKind.BROADCAST,
    "broadcast.user.BroadcastUser",
    counts_requests=True,
    counts_deliveries=True,
    one_process=True,
)
@dataclass(frozen=True, slots=True)
class Broadcast(Offered):
    """One user publishes `rate` messages a second; each of `receivers` is to get each once.

    Each delivery counts: its service time is from the send of the publication to its arrival.
    slow: connections beside these that read nothing.
    """

    receivers: int
    rate: float
    size_bytes: int
    slow: int = 0

    @property
    def population(self) -> int:
        """Receivers, those that read nothing, and the one that publishes."""
        return 1 + self.receivers + self.slow

    def shares(self, workers: int, first: int) -> list[Self | None]:
        """One worker has all of it: its receivers hold the server to what its publisher has
        sent, by one clock and one table."""
        return [self if number == first % workers else None for number in range(workers)]

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        slow = f", beside {self.slow} that read nothing" if self.slow else ""
        size = f"{self.size_bytes} bytes"
        return f"{self.rate:g} messages of {size} a second to {self.receivers} receivers{slow}"


_BY_KIND: Vocabulary[Model] = Vocabulary("load model", "kind", MODELS)


@dataclass(frozen=True, slots=True)
class Load:
    """One stream of requests of a Scenario, with figures of its own.

    own: it goes to a person's own application, whose routes are not the contract's.
    learned: whether what its request is answered is known, so that every answer is held to it.
    codes: what is in doubt about each row of it from the beginning.
    role: whether the scenario asks about it, or offers it beside. work: what its handler does
    for work_ms; None: neither waits nor computes.
    """

    name: str
    case: Case
    model: Annotated[Model, _BY_KIND]
    own: bool = False
    learned: bool = True
    codes: tuple[Code, ...] = ()
    role: Role = Role.MEASURED
    work: Work | None = None
    work_ms: float | None = None

    @property
    def dispatch(self) -> str | None:
        """Where the contract says that the work runs; None in a person's own application, and
        for a request that no route is for."""
        if self.own:
            return None
        try:
            return route_of(self.case.request).dispatch.value
        except LookupError:
            return None

    @property
    def route(self) -> str | None:
        """The route whose handler the probe watches; None in a person's own application, and
        of WebSockets: their handler lasts as long as its connection, and says nothing of
        messages."""
        if self.own or route_of(self.case.request) in WS_ROUTES:
            return None
        return route_of(self.case.request).name


LEAST_TURNS = 4
"""Fewer Slices of a Stack say nothing of how much they vary."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One or more Loads offered together, and the settings that they need.

    warmup_s: the least lead-in before the measured window, where it needs
    more than the bench's own. measured_s: the same of the window of a whole Run, which must hold
    each user's requests several times over. after_s: read the server once more so long after
    the load has ended and closed its connections; 0 leaves that out.
    yardstick: whether it says anything to offer it to the yardstick too.
    upstream: whether another server is started beside, for `/fetch` to get its pages of.
    slice_s: the counted window of a Slice, where the scenario is measured in Slices: long against
    the time that all of its users take for one answer each. None where handlers wait: then Runs
    stay whole.
    family, variant: what it is a scenario of, and which way of that. parameter: the number that
    differs within family and variant, counted in parameter_name; None: none does. baseline: the
    scenario that it is to be read against; blank: none.
    """

    name: str
    asks: str
    loads: tuple[Load, ...]
    warmup_s: float = 0.0
    measured_s: float = 0.0
    after_s: float = 0.0
    yardstick: bool = True
    upstream: bool = False
    slice_s: float | None = None
    least_turns: int = LEAST_TURNS
    settings: Settings = field(default_factory=Settings)
    family: Family = Family.CUSTOM
    variant: str = ""
    parameter: float | None = None
    parameter_name: str = ""
    baseline: str = ""

    @property
    def may_be_sliced(self) -> bool:
        """Whether it is one closed loop whose users ask again at once, over the connections that
        they have."""
        models = [load.model for load in self.loads]
        return len(models) == 1 and models[0] == Closed(models[0].population)
