"""Stops with other times than the Questions have, run in place of their experiments."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Answer, Key
from loopbench.loadtests.behaviour.stopping.scene import STACKS, ask_stop, ask_wait


def stop(key: Key) -> Answer:
    """key: stack, grace time and length of the request in seconds. When it stopped, and what
    client and handler saw."""
    stack, grace_s, wait_s = key[0], float(key[1]), float(key[2])
    application, name = STACKS[stack]
    words = "{stop}, client {client}"
    return ask_stop(application, grace_s, ask_wait, words, wait_s, **{name: grace_s})
