"""The shared secret of a master and its workers: a file with a line of 64 hexadecimal digits.

Whoever has it may join, and may be joined; nobody else is listened to. What the connection makes
of it is in `connection.py`.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path

from loopbench.loadtests.errors import HarnessError

_BYTES = 32
_DIGITS = re.compile(rf"[0-9a-fA-F]{{{2 * _BYTES}}}")
_LONGEST = 1024
_READ_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_key(path: Path) -> Path:
    """Write a new key that only this user can read; returns the path.

    Raises HarnessError where the file cannot be made, or is there already.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secrets.token_hex(_BYTES)}\n")
    except OSError as error:
        raise HarnessError(f"cannot write the key file {path}: {error.strerror}") from None
    return path


def read_key(path: Path) -> bytes:
    """The secret in a key file. Raises HarnessError, which never holds what stands in the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO would block
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            text = file.read(_LONGEST).decode("ascii", "replace").strip()
    except OSError as error:
        raise HarnessError(f"cannot read the key file {path}: {error.strerror}") from None
    if mode & _READ_BY_OTHERS:
        raise HarnessError(f"others may read the key file {path}: chmod 600 it, or take a new one")
    if not _DIGITS.fullmatch(text):
        raise HarnessError(
            f"{path} is no key file: it has to hold a line of {2 * _BYTES} hexadecimal digits"
        )
    return bytes.fromhex(text)
