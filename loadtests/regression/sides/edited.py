"""Which files of an environment are no longer as they were installed: somebody edited them there.

Given as text to `python -c`, as introspection is, and run by the interpreter whose packages are
meant. It uses the standard library alone, and prints a JSON object: for each edited file its place
among the packages, and its whole path. Arguments: the distributions to look at. What the installer
wrote no digest of, such as bytecode, cannot be told, and is left out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path


def edited(distribution: metadata.Distribution) -> Iterator[tuple[str, str]]:
    """By the digests in the distribution's RECORD (PyPA, "Recording installed projects")."""
    for file in distribution.files or ():
        path = Path(str(file.locate()))
        if file.hash is None or ".." in file.parts or not path.is_file():
            continue
        digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            yield str(file), str(path)


if __name__ == "__main__":
    print(json.dumps(dict(pair for n in sys.argv[1:] for pair in edited(metadata.distribution(n)))))
