"""What the documents name is there: files and places they link to, tables, packages and walks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loopbench.results.schema import DERIVED, EXTRA, TABLES
from tests.conftest import ROOT

RESULTS = ROOT / "results" / "README.md"
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    RESULTS,
]
LINK = re.compile(r"\]\((?!https?://|#)([^)\s#]+)(?:#[^)\s]*)?\)")
PLACE = re.compile(r"\]\((?!https?://)([^)\s#]*)#([^)\s]+)\)")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PATH = re.compile(r"`((?:servers|loadtests|results|tests)/[\w/.]*)`")


def _links(document: Path) -> list[str]:
    """Targets of its links, without fenced code."""
    return LINK.findall(_prose(document))


def _prose(document: Path) -> str:
    """Its text without fenced code."""
    return re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)


def _places(document: Path) -> set[str]:
    """What a link may name in it: anchors of its own, and those that code hosts give headings."""
    text = _prose(document)
    headings = (
        re.sub(r"[^\w\- ]", "", title.lower()) for title in re.findall(r"^#+ (.+)$", text, re.M)
    )
    return {
        *re.findall(r'<a id="([^"]+)">', text),
        *(title.replace(" ", "-") for title in headings),
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(document: Path) -> None:
    """Relative links lead to something that is there, seen from the document's own folder."""
    missing = [link for link in _links(document) if not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_into_a_document_leads_to_a_place_in_it(document: Path) -> None:
    """A heading, or an anchor, of the document that is named before it."""
    links = (
        (document.parent / path if path else document, name)
        for path, name in PLACE.findall(_prose(document))
    )
    assert [
        name for path, name in links if path.suffix == ".md" and name not in _places(path)
    ] == []


def test_the_documents_have_links() -> None:
    """So that the test above looks at something."""
    assert len(_links(ROOT / "README.md")) > 10


def test_every_table_of_a_results_folder_is_in_the_list_of_its_files() -> None:
    """With what it holds, before the dictionary says so column by column."""
    listed = set(re.findall(r"^\| `(\w+\.csv)` \|", RESULTS.read_text(encoding="utf-8"), re.M))
    assert {table.filename for table in (*TABLES, *EXTRA, *DERIVED)} - listed == set()


def test_architecture_names_what_there_is() -> None:
    """Each path in it is one of the tree; and each package of the three halves has its line."""
    named = set(PATH.findall(ARCHITECTURE))
    assert {path for path in named if not (ROOT / path).exists()} == set()
    packages = {
        f"{package.parent.relative_to(ROOT)}/"
        for half in ("servers", "loadtests", "results")
        for package in (ROOT / half).glob("*/__init__.py")
    }
    assert packages - named == set()


def test_architecture_names_every_walk() -> None:
    """A walk that a test does is described."""
    walks = {f"tests/walks/{path.name}" for path in (ROOT / "tests" / "walks").glob("test_*.py")}
    assert walks
    assert walks - set(PATH.findall(ARCHITECTURE)) == set()
