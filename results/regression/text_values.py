"""Values of facts as text that a person, a Markdown table and an XML file can take."""

from __future__ import annotations

_SHOWN, _BEFORE = 60, 20


def visible(text: str) -> str:
    """Text on one line in which nothing is hidden: control characters as Python escapes them,
    quotes where there is nothing, or a blank at an end."""
    escaped = "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )
    return escaped if escaped and escaped == escaped.strip() else f'"{escaped}"'


def excerpts(before: str, after: str) -> tuple[str, str]:
    """Two values where they begin to differ: so much of each as fits a line."""
    one, other = visible(before), visible(after)
    if max(len(one), len(other)) <= _SHOWN:
        return one, other
    pairs = enumerate(zip(one, other, strict=False))
    same = next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
    begin = max(0, same - _BEFORE)
    return _cut(one, begin), _cut(other, begin)


def _cut(text: str, begin: int) -> str:
    end = begin + _SHOWN
    return f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''}"
