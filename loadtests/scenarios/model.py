"""What a load model has to say, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, replace
from typing import Any, ClassVar, Protocol, Self, TypeVar

M = TypeVar("M", bound="Model")


class Schedule(Protocol):
    """The intended starts of a load whose requests are due whatever the server does."""

    def take(self) -> int | None:
        """The next one, in ns after the session's start; None when the load is over."""
        ...


class Model(Protocol):
    """How a Load is offered: a frozen dataclass, whose fields travel to the generator as JSON.

    Everything that differs from model to model is said here, so that a new one is a class with its
    row above it, `load_model`, and, where no user fits, its Locust user.

    kind: its name in `load_model`. user: the Locust user that offers it, MODULE.CLASS within
    `loadtests.generator.users`; by its name, since importing Locust patches the process.
    waits_for_answers: each user sends when its last answer is in, so that Little's law must hold
    for users, throughput, and the time from answer to answer.
    counts_requests: whether its requests are a sample, which can be too small or too slow.
    counts_deliveries: whether messages are owed to it, which can be lost.
    one_process: whether it needs all of its connections in one server process, or servers that
    pass messages on to each other.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    kind: ClassVar[str]
    user: ClassVar[str]
    waits_for_answers: ClassVar[bool]
    counts_requests: ClassVar[bool]
    counts_deliveries: ClassVar[bool]
    one_process: ClassVar[bool]

    @property
    def population(self) -> int:
        """How many Locust users it takes, each with one connection."""
        ...

    @property
    def arrival_rate_rps(self) -> float | None:
        """The mean rate of its arrivals; None where requests follow answers."""
        ...

    @property
    def reconnects(self) -> bool:
        """Whether every request opens a connection of its own."""
        ...

    @property
    def think_s(self) -> float | None:
        """How long its users wait after an answer, on average; None where they do not."""
        ...

    def schedule(self, end_ns: int, seed: str) -> Schedule | None:
        """Its intended starts until `end_ns` after the session's start; None where requests
        follow answers."""
        ...

    def shares(self, workers: int, first: int) -> list[Self | None]:
        """What each of several load workers offers of it; None: nothing.

        first: the worker, from 0, that what is left over of an even division goes to.
        """
        ...

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        ...


def divide(total: int, parts: int, first: int = 0) -> list[int]:
    """`total` in `parts` whole numbers that differ by one at most; the larger ones from `first`
    on, so that several small loads do not all fall on the same worker."""
    each, rest = divmod(total, parts)
    larger = {(first + n) % parts for n in range(rest)}
    return [each + (part in larger) for part in range(parts)]


MODELS: dict[str, type[Model]] = {}
"""Every load model by its kind, as it travels to the generator."""


def load_model(
    kind: str,
    user: str,
    *,
    waits_for_answers: bool = False,
    counts_requests: bool = False,
    counts_deliveries: bool = False,
    one_process: bool = False,
) -> Callable[[type[M]], type[M]]:
    """The row of a model, for MODELS. What it says is explained at Model."""

    def keep(model: type[M]) -> type[M]:
        model.kind, model.user = kind, user
        model.waits_for_answers = waits_for_answers
        model.counts_requests = counts_requests
        model.counts_deliveries = counts_deliveries
        model.one_process = one_process
        MODELS[kind] = model
        return model

    return keep


class Offered:
    """A part of every model: its row, and what holds for most of them, whose requests follow
    answers at once, on connections that stay."""

    __slots__ = ()
    kind: ClassVar[str]
    user: ClassVar[str]
    waits_for_answers: ClassVar[bool]
    counts_requests: ClassVar[bool]
    counts_deliveries: ClassVar[bool]
    one_process: ClassVar[bool]

    @property
    def arrival_rate_rps(self) -> float | None:
        """None: nothing is due at a time of its own."""
        return None

    @property
    def reconnects(self) -> bool:
        """Connections stay."""
        return False

    @property
    def think_s(self) -> float | None:
        """None: the next request follows at once."""
        return None

    def schedule(self, end_ns: int, seed: str) -> Schedule | None:
        """None: nothing is due at a time of its own."""
        return None


@dataclass(frozen=True, slots=True)
class OfUsers(Offered):
    """A part of models that have users."""

    users: int

    @property
    def population(self) -> int:
        """As many as it has users."""
        return self.users

    def shares(self, workers: int, first: int) -> list[Self | None]:
        """The users, evenly."""
        counts = divide(self.users, workers, first)
        return [replace(self, users=count) if count else None for count in counts]


@dataclass(frozen=True, slots=True)
class OfConnections(Offered):
    """A part of models that have connections."""

    connections: int

    @property
    def population(self) -> int:
        """As many as it has connections."""
        return self.connections

    def shares(self, workers: int, first: int) -> list[Self | None]:
        """The connections, evenly."""
        counts = divide(self.connections, workers, first)
        return [replace(self, connections=count) if count else None for count in counts]
