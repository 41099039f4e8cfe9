"""Stops with other times than the Questions have, run in place of their experiments."""

from __future__ import annotations

from functools import partial

from loopbench.loadtests.behaviour.framework.messages import Key
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.stopping.scene import STACKS, Scene, ask_wait, stop_in


def stop(key: Key) -> Answer:
    """key: stack, grace time and length of the request in seconds. When it stopped, and what
    client and handler saw."""
    stack, grace_s, wait_s = key[0], float(key[1]), float(key[2])
    begin, name = STACKS[stack]
    stopped = stop_in(partial(begin, **{name: grace_s}), ask_wait, Scene(wait_s))
    events = ", ".join(stopped.scene.seen.events)
    return Answer(f"{stopped.when(grace_s)}, client {stopped.client}", events)
