"""Stops with other times than the Questions have, run in place of their experiments."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.messages import Key
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.stopping.scene import STACKS, Scene, ask_wait, stop_in


def stop(key: Key) -> Answer:
    """key: stack, grace time and length of the request in seconds. When it stopped, and what
    client and handler saw."""
    stack, grace_s, wait_s = key[0], float(key[1]), float(key[2])
    application, name = STACKS[stack]
    scene = Scene(wait_s)
    stopped = stop_in(application(scene), ask_wait, scene, **{name: grace_s})
    events = ", ".join(stopped.scene.seen.events)
    return Answer(f"{stopped.when(grace_s)}, client {stopped.client}", events)
