"""The code blocks of a document, by the file name in their first line."""

from __future__ import annotations

import re
from pathlib import Path

from tests.servers.processes import ROOT

_BLOCK = re.compile(r"^```\w*\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> dict[str, str]:
    """What a document of docs/ tells its reader to write, file by file."""
    return dict(_BLOCK.findall((ROOT / "docs" / name).read_text()))


def write(name: str, folder: Path) -> None:
    """Do as the document says, in a folder."""
    for file, text in blocks(name).items():
        (folder / file).write_text(text)
