"""results/README.md and datapackage.json: up to date, and true for other programs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loopbench.results.errors import ResultsError
from loopbench.results.folder import datapackage
from loopbench.results.folder.folder import load
from loopbench.results.schema import DERIVED, TABLES
from loopbench.results.stats.summaries import summary, summary_table
from loopbench.results.terminal import dictionary
from tests.results.examples import golden

SNIPPETS = re.findall(r"^python -c .+$", dictionary.README.read_text(encoding="utf-8"), re.M)


def test_the_dictionary_is_up_to_date(generated: Callable[[Path, str], None]) -> None:
    """README.md holds what the schema's tables say now."""
    text = dictionary.README.read_text(encoding="utf-8")
    generated(dictionary.README, dictionary.renewed(text))


def test_the_dictionary_knows_every_column() -> None:
    """Name, unit and meaning of each column of each table."""
    text = dictionary.dictionary()
    for table in (*TABLES, *DERIVED):
        assert f"### {table.filename}" in text
        for column in table.columns:
            assert f"| `{column.name}` | {column.kind.value} | {column.unit or '–'} |" in text


def test_a_readme_without_its_marks_is_refused() -> None:
    """Rather than written to at a guess."""
    with pytest.raises(ResultsError, match="lacks the marks"):
        dictionary.renewed("# Results\n")


def test_every_table_has_its_line_in_the_readme() -> None:
    """The list of files at the top names each of them."""
    text = dictionary.README.read_text(encoding="utf-8").partition(dictionary.BEGIN)[0]
    for table in (*TABLES, *DERIVED):
        assert f"| `{table.filename}` |" in text


def test_the_readme_shows_three_libraries() -> None:
    """So that the test below runs something."""
    imported = [re.findall(r"import (\w+);", snippet) for snippet in SNIPPETS]
    assert imported == [["pandas"], ["polars"], ["duckdb"]]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["pandas", "polars", "duckdb"])
def test_the_one_liners_run(tmp_path: Path, snippet: str) -> None:
    """Each prints the median throughput of a Cell of the golden folder."""
    golden.write(tmp_path / "results" / "reference")
    python, *arguments = shlex.split(snippet)
    assert python == "python"
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert "3700.0" in done.stdout


@pytest.fixture
def package(folder: Path) -> Path:
    """The golden folder with its summary and descriptor."""
    summary_table.write(folder, summary.summarise(load(folder)))
    return datapackage.write(folder)


def _errors(package: Path) -> list[tuple[str, str]]:
    # Imported here: it takes long, and each process of the tests reads all their files.
    import frictionless

    report = frictionless.validate(str(package))
    return [(task.name, error.type) for task in report.tasks for error in task.errors]


@pytest.mark.filterwarnings("default")
def test_the_folder_is_a_valid_data_package(package: Path) -> None:
    """Every table is checked, and none has an error."""
    import frictionless

    report = frictionless.validate(str(package))
    assert report.valid, report.to_summary()
    assert {task.name for task in report.tasks} == {table.name for table in (*TABLES, *DERIVED)}


@pytest.mark.filterwarnings("default")
def test_the_descriptor_tells_wrong_rows_from_right_ones(package: Path) -> None:
    """A text in a number, a value below its bound and a blank key are found."""
    path = package.parent / "failures.csv"
    lines = ["run_id,load,reason,count,example", "01.a.b,main,late,many,x", ",main,late,0,x"]
    path.write_text("\n".join(lines) + "\n")
    assert _errors(package) == [
        ("failures", "type-error"),
        ("failures", "constraint-error"),
        ("failures", "constraint-error"),
    ]


def test_a_field_tells_its_unit(folder: Path) -> None:
    """And type, meaning and bounds, as the schema has them."""
    described = datapackage.describe(folder)
    runs = next(found for found in described["resources"] if found["name"] == "runs")
    assert runs["schema"]["missingValues"] == [""]
    fields = {field["name"]: field for field in runs["schema"]["fields"]}
    assert fields["throughput_rps"]["unit"] == "1/s"
    assert fields["throughput_rps"]["constraints"] == {"minimum": 0}
    assert fields["round"]["constraints"] == {"required": True, "minimum": 1}
    assert fields["killed"]["trueValues"] == ["true"]


def test_a_table_that_is_not_there_is_not_described(folder: Path) -> None:
    """A resource without its file would make the package invalid."""
    (folder / "timeline.csv").unlink()
    names = [found["name"] for found in datapackage.describe(folder)["resources"]]
    assert "timeline" not in names and "runs" in names
