"""What a Scenario is made of: Loads, and the models by which they are offered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from loopbench.results.schema import Code, Family, Role, Work
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.servers.contract.cases import WS_ROUTES, Case, route_of
from loopbench.servers.settings import Settings


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Closed:
    """Each of `users` sends its next request when the last answer is in.

    ramp_s: the users' first requests are spread evenly over this time, within
    the warm-up. Users that all wait for the same time would otherwise stay in
    step for ever, and a window would catch a whole wave too many or too few.
    new_connections: every request opens a connection of its own and closes it;
    its response time begins before it connects, its service time at the send.
    first_byte: the arrival of each answer's first bytes is recorded, too.
    """

    kind: ClassVar[str] = LoadKind.CLOSED
    users: int
    ramp_s: float = 0.0
    new_connections: bool = False
    first_byte: bool = False

    @property
    def population(self) -> int:
        """How many Locust users it takes, each with one connection."""
        return self.users

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        fresh = ", a new connection for every request" if self.new_connections else ""
        return f"closed loop, {_count(self.users, 'user')}{fresh}"


@dataclass(frozen=True, slots=True)
class Open:
    """Requests are scheduled as a Poisson process, whatever the server does.

    rate_rps: mean arrivals a second. connections: the most requests that can
    be under way at once; an arrival that finds none free waits for one, and
    is charged with that wait.
    """

    kind: ClassVar[str] = LoadKind.OPEN
    rate_rps: float
    connections: int

    @property
    def population(self) -> int:
        """How many Locust users it takes, each with one connection."""
        return self.connections

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        return f"open loop, {self.rate_rps:g} a second over {self.connections} connections"


@dataclass(frozen=True, slots=True)
class Idle:
    """Connections that each send one request during the lead-in and are then held open."""

    kind: ClassVar[str] = LoadKind.IDLE
    connections: int

    @property
    def population(self) -> int:
        """How many Locust users it takes, each with one connection."""
        return self.connections

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        return f"{self.connections} connections that send one request and are then held open"


@dataclass(frozen=True, slots=True)
class Slow:
    """Connections that ask for an answer and read it slowly, or not at all.

    rate_bytes_s: what each of them reads a second; 0: nothing for the whole load.
    window_bytes: the kernel's receive buffer of each, so that what is not read stays with the
    server. What has come is held to the expected answer; one that is not complete by the end of
    the load is neither a request nor a failure.
    """

    kind: ClassVar[str] = LoadKind.SLOW
    connections: int
    rate_bytes_s: int = 0
    window_bytes: int = 4096

    @property
    def population(self) -> int:
        """How many Locust users it takes, each with one connection."""
        return self.connections

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        read = f"read {self.rate_bytes_s:,} bytes a second" if self.rate_bytes_s else "read nothing"
        return f"{self.connections} connections that ask, and then {read}"


@dataclass(frozen=True, slots=True)
class Echo:
    """Each of `users` sends its next message on its WebSocket when the last one is back.

    new_connections: every message has a connection of its own; its response time begins before
    it connects, its service time at the send of the message.
    """

    kind: ClassVar[str] = LoadKind.ECHO
    users: int
    size_bytes: int
    new_connections: bool = False

    @property
    def population(self) -> int:
        """How many Locust users it takes, each with one connection."""
        return self.users

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        fresh = ", a new connection for every message" if self.new_connections else ""
        return (
            f"messages of {self.size_bytes} bytes to and fro, {_count(self.users, 'user')}{fresh}"
        )


@dataclass(frozen=True, slots=True)
class Pushed:
    """Each connection is pushed `rate` messages a second by the server, and says nothing.

    A message's service time begins when the server meant to send it.
    """

    kind: ClassVar[str] = LoadKind.PUSHED
    connections: int
    rate: int

    @property
    def population(self) -> int:
        """How many Locust users it takes, each with one connection."""
        return self.connections

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        return f"{self.rate} messages a second pushed to each of {self.connections} connections"


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One user publishes `rate` messages a second; each of `receivers` is to get each once.

    Each delivery counts: its service time is from the send of the publication to its arrival.
    slow: connections beside these that read nothing.
    """

    kind: ClassVar[str] = LoadKind.BROADCAST
    receivers: int
    rate: float
    size_bytes: int
    slow: int = 0

    @property
    def population(self) -> int:
        """How many Locust users it takes, each with one connection."""
        return 1 + self.receivers + self.slow

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        slow = f", beside {self.slow} that read nothing" if self.slow else ""
        size = f"{self.size_bytes} bytes"
        return f"{self.rate:g} messages of {size} a second to {self.receivers} receivers{slow}"


Model = Closed | Open | Idle | Slow | Echo | Pushed | Broadcast
MODELS: dict[str, type[Model]] = {
    model.kind: model for model in (Closed, Open, Idle, Slow, Echo, Pushed, Broadcast)
}


@dataclass(frozen=True, slots=True)
class Load:
    """One stream of requests of a Scenario, with figures of its own.

    own: it goes to a person's own application, whose routes are not the contract's.
    codes: what is in doubt about each row of it from the beginning.
    role: whether the scenario asks about it, or offers it beside. work: what its handler does
    for work_ms; None: neither waits nor computes.
    """

    name: str
    case: Case
    model: Model
    own: bool = False
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


@dataclass(frozen=True, slots=True)
class Scenario:
    """One or more Loads offered together, and the settings that they need.

    warmup_s: the least lead-in before the measured window, where it needs
    more than the bench's own. after_s: read the server once more so long after
    the load has ended and closed its connections; 0 leaves that out.
    yardstick: whether it says anything to offer it to the yardstick too.
    upstream: whether another server is started beside, for `/fetch` to get its pages of.
    family, variant: what it is a scenario of, and which way of that. parameter: the number that
    differs within family and variant, counted in parameter_name; None: none does. baseline: the
    scenario that it is to be read against; blank: none.
    """

    name: str
    asks: str
    loads: tuple[Load, ...]
    warmup_s: float = 0.0
    after_s: float = 0.0
    yardstick: bool = True
    upstream: bool = False
    settings: Settings = field(default_factory=Settings)
    family: Family = Family.CUSTOM
    variant: str = ""
    parameter: float | None = None
    parameter_name: str = ""
    baseline: str = ""
