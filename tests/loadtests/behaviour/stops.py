"""Stops with other times than the Questions have, run in place of their experiments."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Answer, Key
from loopbench.loadtests.behaviour.stopping.scene import STACKS, ask_wait, stop_in
from loopbench.loadtests.behaviour.talking import as_seen


def stop(key: Key) -> Answer:
    """key: stack, grace time and length of the request in seconds. When it stopped, and what
    client and handler saw."""
    stack, grace_s, wait_s = key[0], float(key[1]), float(key[2])
    application, name = STACKS[stack]
    stopped = stop_in(application, ask_wait, wait_s, grace_s, **{name: grace_s})
    return as_seen(f"{stopped.when}, client {stopped.client}")
