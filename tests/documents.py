"""What tests read from documents, and write into them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tests.servers.processes import ROOT

_BLOCK = re.compile(r"^```\w*\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> dict[str, str]:
    """What a document of docs/ tells its reader to write: its code blocks, by the file name in
    their first line."""
    return dict(_BLOCK.findall((ROOT / "docs" / name).read_text()))


def write(name: str, folder: Path) -> None:
    """Do as the document says, in a folder."""
    for file, text in blocks(name).items():
        (folder / file).write_text(text)


def between(text: str, mark: str, lines: Iterable[str]) -> str:
    """The document with these lines between `<!-- begin: NAME -->` and `<!-- end: NAME -->`."""
    begin, end = f"<!-- begin: {mark} -->\n", f"<!-- end: {mark} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    assert pattern.search(text), f"{mark} is not marked"
    return pattern.sub(lambda _: begin + "\n".join(lines) + "\n" + end, text, count=1)


def fenced(lines: Iterable[str]) -> list[str]:
    """As a block of text."""
    return ["```text", *lines, "```"]
