"""Tracebacks in one line: what was raised, and where, from an exception or a log."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TAIL_BYTES = 262_144
_BEGIN = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s+File "([^"]+)", line (\d+), in (.+)$')
_LIBRARY = ("site-packages", f"{os.sep}lib{os.sep}python")


def named(error: BaseException) -> str:
    """Its class, and its text in one line where it has any."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place(error: BaseException, folder: str) -> str:
    """The innermost line of the person's own code, in `folder`, that an exception came through, in
    brackets; empty where there is none."""
    trace, text = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(folder) and "site-packages" not in file:
            text = f" ({os.path.relpath(file, folder)}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return text


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
    # Of a group of exceptions, where each line stands behind a bar.
    margin = text[text.rfind("\n", 0, begin) + 1 : begin]
    margin = margin.replace("+", "|") if not margin.strip(" +|") else ""
    frames: list[tuple[str, str, str]] = []
    for behind in text[begin + len(_BEGIN) :].splitlines()[1:]:
        line = behind.removeprefix(margin)
        if (frame := _FRAME.match(line)) is not None:
            frames.append((frame[1], frame[2], frame[3]))
        elif line and not line[0].isspace():
            return f"{line.strip()}{_place(frames)}"
    return None


def _place(frames: list[tuple[str, str, str]]) -> str:
    own = [frame for frame in frames if not any(part in frame[0] for part in _LIBRARY)] or frames
    if not own:
        return ""
    file, line, function = own[-1]
    return f" ({Path(file).name}, line {line}, in {function})"
