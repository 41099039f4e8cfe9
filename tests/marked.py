"""Parts of documents that tests write, from `<!-- begin: NAME -->` to `<!-- end: NAME -->`."""

from __future__ import annotations

import re
from collections.abc import Iterable


def between(text: str, mark: str, lines: Iterable[str]) -> str:
    """The document with these lines between the two marks of that name."""
    begin, end = f"<!-- begin: {mark} -->\n", f"<!-- end: {mark} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    assert pattern.search(text), f"{mark} is not marked"
    return pattern.sub(lambda _: begin + "\n".join(lines) + "\n" + end, text, count=1)


def fenced(lines: Iterable[str]) -> list[str]:
    """As a block of text."""
    return ["```text", *lines, "```"]
