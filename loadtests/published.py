"""What became of each message of a broadcast: every one to every receiver, exactly once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Message:
    """One message. Times are CLOCK_REALTIME in ns; due_ns: since the session's start."""

    due_ns: int
    sent_ns: int = 0
    deliveries: int = 0
    last_ns: int = 0
    failed: bool = False


class Published:
    """The messages so far, by their numbers from 0, and whether there will be more."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.complete = False
        self.receiving = 0

    def begin(self, due_ns: int) -> int:
        """The number of a message that is about to be published."""
        self.messages.append(Message(due_ns))
        return len(self.messages) - 1

    def owed(self, since: int, until: int) -> list[int]:
        """The numbers from `since` to before `until` of those whose publication was accepted."""
        return [one for one in range(since, until) if not self.messages[one].failed]
