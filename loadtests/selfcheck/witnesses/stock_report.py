"""What a stock Locust did, as its process prints it. Imports no Locust."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StockReport:
    """Of the window. cpu: CPU time of its process over wall time. version: of Locust."""

    throughput_rps: float
    cpu: float
    failures: int
    version: str
