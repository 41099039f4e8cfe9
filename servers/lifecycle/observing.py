"""A server that watches itself.

It is imported where the settings ask for a Probe: without one a server starts without the modules
of servers.probe.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial

from loopbench.servers.lifecycle.commands import Handlers, accept, answering
from loopbench.servers.probe import probe
from loopbench.servers.probe.probe import Probe
from loopbench.servers.probe.readings import Glance, Instants, Observe, Pause, Reset, Resume
from loopbench.servers.settings import Settings


def watching(settings: Settings) -> AbstractContextManager[Probe]:
    """A Probe that is on, as the settings say."""
    return probe.watching(
        beat_s=settings.probe_beat_ms / 1000, stall_s=settings.probe_stall_ms / 1000
    )


def observations(watched: Probe) -> Handlers:
    """What the harness may ask of a Probe."""
    return {
        **answering(
            Reset, lambda question: accept(partial(watched.reset, instants=question.instants))
        ),
        **answering(Pause, lambda _: accept(watched.pause)),
        **answering(Resume, lambda _: accept(watched.resume)),
        **answering(Observe, lambda _: watched.observe()),
        **answering(Glance, lambda question: watched.glance(loaded=question.loaded)),
        **answering(
            Instants,
            lambda question: watched.instants(question.route, question.skip, question.count),
        ),
    }
