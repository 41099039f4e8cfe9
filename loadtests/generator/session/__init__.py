"""One scenario's loads from the first connection to the last answer."""

from loopbench.loadtests.generator.session.load_run import LoadRun
from loopbench.loadtests.generator.session.session import Session

__all__ = ["LoadRun", "Session"]
