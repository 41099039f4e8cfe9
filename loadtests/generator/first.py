"""Locust, which a process that loads imports before all else: that patches the standard library."""

from __future__ import annotations

from loopbench.command_line import imports

with imports():
    import locust

__all__ = ["locust"]
