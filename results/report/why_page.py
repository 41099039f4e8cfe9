"""why.html and why-against.html: the costs of a request alone, for a folder that holds no bench."""

from __future__ import annotations

from pathlib import Path

from loopbench.results.folder.writing import written
from loopbench.results.report.blocks import Made
from loopbench.results.report.document import Document
from loopbench.results.report.page import html
from loopbench.results.report.sections import costs as section
from loopbench.results.why.costs import Costs


def write(file: Path, costs: Costs, pairs: section.Pairs | None = None) -> Path:
    """Write the page, whole or not at all; see `page`. Raises ResultsError."""
    return written(file, page(costs, file.resolve().parent.name, pairs))


def page(costs: Costs, name: str, pairs: section.Pairs | None = None) -> str:
    """The page as HTML.

    name: of the folder. pairs: the stacks that are drawn side by side; None: each with each.
    """
    title = "Why a request costs what it costs"
    pythons = ", ".join(sorted({total.python for total in costs.totals.values()}))
    facts = (f"{', '.join(costs.stacks)}; Python {pythons}", name)
    made = Made("why", title, section.of_costs(costs, pairs))
    return html.render(Document(title, facts, (made,), (), ()))
