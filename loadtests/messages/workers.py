"""What a master and its workers say to each other, over Locust's own connection.

The type of a Locust message is `loopbench.` and the name of its class.
"""

from __future__ import annotations

from dataclasses import dataclass

from loopbench.loadtests.hosts.host_info import HostInfo
from loopbench.loadtests.messages.reports import PackedReport
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.servers.supervision.messages import hyphenated

ATTACHMENT = "loopbench"
"""The key of the Progress that a worker adds to each of Locust's own reports to the master."""

LOST_AFTER_S = 15.0
"""A worker of which no message came for so long is lost; Locust's workers report every second."""

STOOD_STILL_S = 3.0
"""Who looks after the other every second, and has not looked for so long, has stood still itself,
as by SIGSTOP: that time is not the other's silence, whose messages are still to be read."""

MASTER_LOST_AFTER_S = 20.0
"""A worker to which no message of its master came for so long ends; `--patience` changes that."""


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker's first message."""

    host: HostInfo
    pid: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The master's answer to a worker that may not take part. for_now: whether it may once another
    is lost, and is to ask again."""

    why: str
    for_now: bool = False


@dataclass(frozen=True, slots=True)
class AboutLoad:
    """A message about a load. number: tells it from those before."""

    number: int


@dataclass(frozen=True, slots=True)
class Ping(AboutLoad):
    """Of the master, to compare clocks. sent_ns: by its CLOCK_REALTIME."""

    sent_ns: int


@dataclass(frozen=True, slots=True)
class Pong(AboutLoad):
    """The answer. there_ns: by the worker's CLOCK_REALTIME."""

    sent_ns: int
    there_ns: int


@dataclass(frozen=True, slots=True)
class OfferShare(AboutLoad):
    """Of the master: connect the users of this share."""

    spec: SessionSpec


@dataclass(frozen=True, slots=True)
class Connected(AboutLoad):
    """Of a worker: its users have connected, or have tried to."""


@dataclass(frozen=True, slots=True)
class Start(AboutLoad):
    """Of the master: begin at this instant of the worker's CLOCK_REALTIME."""

    start_realtime_ns: int


@dataclass(frozen=True, slots=True)
class AbortShare(AboutLoad):
    """Of the master: end it as soon as possible."""


@dataclass(frozen=True, slots=True)
class ReleaseShare(AboutLoad):
    """Of the master: connections may be closed."""


@dataclass(frozen=True, slots=True)
class Received(AboutLoad):
    """Of the master: it has the final report."""


@dataclass(frozen=True, slots=True)
class ShareFailed(AboutLoad):
    """Of a worker: the defect that it met."""

    error: str


@dataclass(frozen=True, slots=True)
class Progress(AboutLoad):
    """Of a worker, attached to Locust's reports. answered, failures: in the window so far.

    report: once it is there, until the master has it, since a link that breaks may lose a message.
    """

    answered: int
    failures: int
    report: PackedReport | None


def message_type(kind: type[object]) -> str:
    """The type of the Locust message that carries a `kind`."""
    return f"loopbench.{hyphenated(kind.__name__)}"
