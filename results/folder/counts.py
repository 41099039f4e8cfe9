"""counts.csv: instructions a request, where they were counted."""

from __future__ import annotations

from pathlib import Path

from loopbench.results.folder import older_scenarios
from loopbench.results.folder.tables import Problem, optional_rows
from loopbench.results.schema import COUNTS, Row


def counts_of(path: Path, problems: list[Problem]) -> tuple[Row, ...]:
    """The rows of counts.csv; of a case that has no `layers` the older names tell them."""
    return tuple(
        {**row, "layers": older_scenarios.layers_of(str(row["case"]))}
        if row["layers"] is None
        else row
        for row in optional_rows(path, COUNTS, problems)
    )
