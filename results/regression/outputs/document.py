"""The verdict as one object, of the form that `json_forms.REGRESSION` describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from loopbench.results.regression.verdict import Report, headline, not_judged
from loopbench.results.schema.json_forms import REGRESSION


def of(report: Report, files: Sequence[str]) -> dict[str, object]:
    """files: names of what was written into the folder."""
    return {
        "schema": REGRESSION.name,
        "run": report.evidence.folder.resolve().name,
        "exit_status": int(report.status),
        "headline": headline(report),
        "settings": asdict(report.settings),
        "findings": [dict(finding.row) for finding in report.findings],
        "not_judged": list(not_judged(report)),
        "files": list(files),
    }
