"""What the documents name is there: files they link to, packages and walks of ARCHITECTURE.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "results" / "README.md",
]
LINK = re.compile(r"\]\((?!https?://|#)([^)\s#]+)(?:#[^)\s]*)?\)")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PATH = re.compile(r"`((?:servers|loadtests|results|tests)/[\w/.]*)`")


def _links(document: Path) -> list[str]:
    """Targets of its links, without fenced code."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    return LINK.findall(text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(document: Path) -> None:
    """Relative links lead to something that is there, seen from the document's own folder."""
    missing = [link for link in _links(document) if not (document.parent / link).exists()]
    assert not missing


def test_the_documents_have_links() -> None:
    """So that the test above looks at something."""
    assert len(_links(ROOT / "README.md")) > 10


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
