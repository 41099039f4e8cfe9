"""The files of a verdict, each whole or not at all: regression.csv, regression.md, junit.xml, what
was measured in the JSON formats of other tools, and exit_status, which `make` does not hand on."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from loopbench.results import schema
from loopbench.results.errors import ResultsError
from loopbench.results.regression.outputs import benchmark_json, junit, markdown
from loopbench.results.regression.verdict import Report
from loopbench.results.schema import TableWriter

MARKDOWN_FILE, JUNIT_FILE, STATUS_FILE = "regression.md", "junit.xml", "exit_status"
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Names the file that a CI step's summary is to be appended to."""


def write(report: Report, folder: Path) -> tuple[Path, ...]:
    """Write them into a folder, and the Markdown to the CI step's summary where there is one.

    Raises ResultsError.
    """
    text = markdown.render(report)
    try:
        with TemporaryDirectory(dir=folder, prefix=".regression-") as place:
            draft = Path(place)
            with TableWriter(draft, schema.FINDINGS) as writer:
                writer.append(finding.row for finding in report.findings)
            (draft / MARKDOWN_FILE).write_text(text, encoding="utf-8")
            (draft / STATUS_FILE).write_text(f"{int(report.status)}\n", encoding="utf-8")
            (draft / JUNIT_FILE).write_text(junit.render(report), encoding="utf-8")
            for name, other in benchmark_json.render(report).items():
                (draft / name).write_text(other, encoding="utf-8")
            written = [file.replace(folder / file.name) for file in sorted(draft.iterdir())]
        summary = os.environ.get(STEP_SUMMARY)
        if summary:
            with Path(summary).open("a", encoding="utf-8") as handle:
                handle.write(f"{text}\n")
    except OSError as error:
        raise ResultsError(f"cannot write {error.filename or folder}: {error.strerror}") from error
    return tuple(written)
