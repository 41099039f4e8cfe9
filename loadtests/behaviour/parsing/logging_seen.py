"""What is logged during an experiment."""

from __future__ import annotations

import logging


class Logged(logging.Handler):
    """Keeps every record that reaches the root logger, once it is added to it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(record)


def logged() -> Logged:
    """Begin to keep what reaches the root logger."""
    handler = Logged()
    logging.getLogger().addHandler(handler)
    return handler
