"""Text from rows as a terminal may get it."""

from __future__ import annotations

import unicodedata


def plain(text: object) -> str:
    """Text from a row without control characters, which a terminal would obey."""
    return "".join(
        " " if unicodedata.category(character)[0] == "C" else character for character in str(text)
    )
