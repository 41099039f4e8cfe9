"""summary.csv: the Summaries of a folder, a row a Cell and metric."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from loopbench.results import schema
from loopbench.results.schema import Column, Row, TableWriter
from loopbench.results.stats.summaries.sample import METRICS
from loopbench.results.stats.summaries.summary import Summaries, Summary


def table_rows(summaries: Summaries) -> Iterator[Row]:
    """The rows of summary.csv: cells in the order to show them in, metrics as in runs.csv."""
    for cell in summaries.cells:
        for metric, column in METRICS.items():
            summary = summaries.get(cell, metric)
            if summary is not None:
                yield _table_row(summary, column)


def _table_row(summary: Summary, column: Column) -> Row:
    ratio, interval = summary.ratio, summary.interval
    ratio_interval = ratio.interval if ratio else None
    return {
        "stack": _no_formula(summary.sample.stack),
        "scenario": _no_formula(summary.sample.scenario),
        "load": _no_formula(summary.sample.load),
        "metric": column.name,
        "unit": column.unit or None,
        "n": summary.n,
        "centre": summary.centre,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "lowest": summary.lowest,
        "highest": summary.highest,
        "reference": _no_formula(ratio.to) if ratio else None,
        "ratio_n": ratio.n if ratio else None,
        "ratio": ratio.centre if ratio else None,
        "ratio_low": ratio_interval.low if ratio_interval else None,
        "ratio_high": ratio_interval.high if ratio_interval else None,
        "warnings": schema.WARNING_SEPARATOR.join(w.code for w in summary.warnings) or None,
    }


def _no_formula(name: str) -> str:
    """A name that a spreadsheet takes for text: an apostrophe goes before one that it would
    compute, as OWASP says of "CSV injection"."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def write(folder: Path, summaries: Summaries) -> Path:
    """Write summary.csv whole or not at all; returns its path. Raises OSError."""
    with TemporaryDirectory(dir=folder, prefix=".summary-") as draft:
        with TableWriter(Path(draft), schema.SUMMARY) as writer:
            writer.append(table_rows(summaries))
        path = folder / schema.SUMMARY.filename
        (Path(draft) / schema.SUMMARY.filename).replace(path)
    return path
