"""The last traceback of a log, in one line: what a handler raised, and where."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TAIL_BYTES = 262_144
_BEGIN = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s+File "([^"]+)", line (\d+), in (.+)$')
_LIBRARY = ("site-packages", f"{os.sep}lib{os.sep}python")


def last_traceback(log: Path) -> str | None:
    """Exception, file, line and function, of the innermost frame that is no library's.

    None where the log holds no traceback, or cannot be read.
    """
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return None
    begin = text.rfind(_BEGIN)
    if begin < 0:
        return None
    frames: list[tuple[str, str, str]] = []
    for line in text[begin + len(_BEGIN) :].splitlines()[1:]:
        if (frame := _FRAME.match(line)) is not None:
            frames.append((frame[1], frame[2], frame[3]))
        elif line and not line[0].isspace():
            return f"{line.strip()}{_place(frames)}"
    return None


def _place(frames: list[tuple[str, str, str]]) -> str:
    own = [one for one in frames if not any(part in one[0] for part in _LIBRARY)] or frames
    if not own:
        return ""
    file, line, function = own[-1]
    return f" ({Path(file).name}, line {line}, in {function})"
