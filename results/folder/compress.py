"""The one large table of a results folder, compressed, for a folder that is to be kept."""

from __future__ import annotations

import gzip
import shutil
from contextlib import ExitStack
from pathlib import Path

from loopbench.results import schema
from loopbench.results.errors import ResultsError
from loopbench.results.folder import datapackage


def pack(folder: Path) -> Path:
    """Compress histograms.csv of a folder, and say so in datapackage.json; the compressed file.

    Every reader of this package takes either. Raises ResultsError.
    """
    plain = folder / schema.HISTOGRAMS.filename
    packed = folder / schema.HISTOGRAMS.packed_filename
    if not plain.is_file() and packed.is_file():
        raise ResultsError(f"{packed} is compressed already")
    if not plain.is_file():
        raise ResultsError(f"{plain}: there is nothing to compress")
    with ExitStack() as stack:
        try:
            stack.enter_context(schema.locked(folder))
        except schema.FolderInUse as error:
            raise ResultsError(str(error)) from None
        except OSError as error:
            raise ResultsError(f"cannot write into {folder}: {error.strerror}") from error
        return _pack(folder, plain, packed)


def _pack(folder: Path, plain: Path, packed: Path) -> Path:
    draft = packed.with_suffix(".part")
    try:
        # Without time and name in the header equal tables make equal files.
        with (
            plain.open("rb") as source,
            draft.open("wb") as target,
            gzip.GzipFile("", "wb", 9, target, mtime=0) as sink,
        ):
            shutil.copyfileobj(source, sink)
        draft.replace(packed)
        plain.unlink()
        datapackage.write(folder)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ResultsError(f"cannot write into {folder}: {error.strerror}") from error
    return packed
