"""The results folder as it is written: one Run at a time, resumable.

A Run's histograms and failures are written first and its row in runs.csv
last: that row says that the Run is complete. What a broken bench left behind
of an incomplete Run is taken out when the folder is resumed.
"""

from __future__ import annotations

import csv
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.rows.resuming import Held, document, expect_plain, look_through, printable
from loopbench.loadtests.rows.run_rows import RunRows
from loopbench.results.schema import (
    ENVIRONMENT_FILE,
    FAILURES,
    HISTOGRAMS,
    OBSERVATIONS,
    PLAN_FILE,
    RUNS,
    RUNS_FOLDER,
    SCHEMA_VERSION,
    SLICES,
    STALLS,
    THREAD_POOLS,
    THREADS,
    TIMELINE,
    WORKERS,
    FolderInUse,
    Table,
    TableWriter,
    locked,
)
from loopbench.servers.supervision.messages import Json

_WRITTEN = (
    SLICES,
    HISTOGRAMS,
    FAILURES,
    OBSERVATIONS,
    THREADS,
    THREAD_POOLS,
    STALLS,
    TIMELINE,
    WORKERS,
    RUNS,
)
"""In this order: the row in runs.csv completes the Run."""


def _written(plan: Json) -> tuple[Table, ...]:
    """The tables of a plan; of workers only where several share the loads."""
    return tuple(table for table in _WRITTEN if table is not WORKERS or "workers" in plan)


def new_folder() -> Path:
    """A name for a new results folder: the time, UTC, and four digits against collisions."""
    return RUNS_FOLDER / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


class Store:
    """An open results folder. `held`: what it held when it was opened."""

    def __init__(self, folder: Path, held: Held, writers: dict[str, TableWriter]):
        self.folder = folder
        self.held = held
        self._writers = writers

    @property
    def finished(self) -> frozenset[str]:
        """The run_ids that need not run again."""
        return self.held.finished

    def add(self, rows: RunRows) -> None:
        """Write one Run. Raises HarnessError when the disk does not take it."""
        for table in (table for table in _WRITTEN if table.name in self._writers):
            try:
                self._writers[table.name].append(getattr(rows, table.name))
            except OSError as error:
                raise cannot_write(self.folder, table.filename, error) from error


def cannot_write(folder: Path, name: str, error: OSError) -> HarnessError:
    """The one line for a file of a results folder that does not take what was measured."""
    return HarnessError(
        f"cannot write {folder / name}: {error.strerror}; what was written before is kept. Free "
        f"the space or the path, then go on with --out {folder} --resume"
    )


def cannot_begin(folder: Path, error: OSError) -> HarnessError:
    """The one line for a place that takes no results folder at all."""
    return HarnessError(
        f"cannot write {folder}: {error.strerror}; free the space or the path, or name another "
        "place with --out"
    )


def seed_of(folder: Path) -> int:
    """The seed that a folder was begun with. Raises HarnessError where it holds no plan."""
    path = folder / PLAN_FILE
    try:
        return int(document(path)["seed"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        raise HarnessError(f"{path} holds no plan; there is nothing to resume") from None


def _remove_where_empty(folder: Path) -> None:
    with suppress(OSError):  # it holds something, or was never made
        folder.rmdir()


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """Create a folder where there is none, and be the only process that writes into it.

    Raises HarnessError, in one line, where another process does already or the
    folder cannot be created.
    """
    fresh = not folder.exists()
    with ExitStack() as stack:
        if fresh:  # a place where nothing came to be written is left as it was
            stack.callback(_remove_where_empty, folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder))
        except FolderInUse as error:
            raise HarnessError(str(error)) from None
        except OSError as error:
            raise cannot_begin(folder, error) from error
        yield


def alone_in(folder: Path | None) -> AbstractContextManager[None]:
    """The same for a results folder, where one is named."""
    return nullcontext() if folder is None else writing_into(folder)


@contextmanager
def open_store(folder: Path, plan: Json, *, resume: bool) -> Iterator[Store]:
    """Create a results folder for `plan`, or take up one that was left unfinished.

    Raises HarnessError where the folder cannot be written, another process
    writes into it, it holds a run already (and `resume` is false), or it holds
    one of another plan.
    """
    plan = {"schema_version": SCHEMA_VERSION, **plan}
    with ExitStack() as stack:
        stack.enter_context(writing_into(folder))
        try:
            expect_plain(folder)
            held = _prepare(folder, plan, resume)
            writers = {
                table.name: stack.enter_context(TableWriter(folder, table))
                for table in _written(plan)
            }
        except OSError as error:
            raise cannot_begin(folder, error) from error
        yield Store(folder, held, writers)


def _prepare(folder: Path, plan: Json, resume: bool) -> Held:
    path = folder / PLAN_FILE
    text = json.dumps(plan, indent=2) + "\n"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        pass
    else:
        try:
            with open(handle, "w", encoding="utf-8") as fresh:
                fresh.write(text)
                fresh.flush()
                os.fsync(handle)
        except OSError:
            path.unlink()  # half a plan would block the folder for good
            raise
        return Held()
    if (folder / HISTOGRAMS.packed_filename).exists():
        raise HarnessError(
            f"{folder} was compressed; gunzip {HISTOGRAMS.packed_filename} before going on with it"
        )
    if not resume:
        raise HarnessError(
            f"{folder} holds a run already; go on with it by --resume, or name another --out"
        )
    before = document(path)
    different = sorted(
        key for key in plan.keys() | before.keys() if plan.get(key) != before.get(key)
    )
    if different:
        raise HarnessError(
            f"{folder} was begun otherwise ({printable(', '.join(different))}): "
            "resume it with the options that it was begun with"
        )
    left_out: frozenset[str] = frozenset()
    if (folder / ENVIRONMENT_FILE).exists():
        left_out = frozenset(document(folder / ENVIRONMENT_FILE).get("left_out", ()))
    return _repair(folder, plan, left_out)


def expected_rows(plan: Json) -> dict[str, int]:
    """How many rows in runs.csv make each Run of a plan complete."""
    return dict(plan["rows_per_run"])


def _side_by_side(plan: Json, left_out: frozenset[str]) -> dict[str, frozenset[str]]:
    """The stacks of each scenario that is measured in Slices."""
    stacks: dict[str, set[str]] = {name: set() for name in plan.get("slices_s", ())}
    for stack, scenario in plan["cells"]:
        if scenario in stacks and stack not in left_out:
            stacks[scenario].add(stack)
    return {name: frozenset(of) for name, of in stacks.items()}


def _repair(folder: Path, plan: Json, left_out: frozenset[str]) -> Held:
    """Keep what need not run again, in every table; says what that is.

    left_out: stacks of which there are no Runs, since they could not be measured.
    """
    held = look_through(folder, _written(plan), expected_rows(plan), _side_by_side(plan, left_out))
    for table in _WRITTEN:
        _cut_torn_line(folder / table.filename)
        _keep_only(folder, table, held.finished)
    return held


def _cut_torn_line(path: Path) -> None:
    """A file that ends in half a line was being written when its writer was killed."""
    if not path.exists():
        return
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        os.truncate(path, data.rfind(b"\n") + 1)


def _keep_only(folder: Path, table: Table, run_ids: frozenset[str]) -> None:
    path = folder / table.filename
    if not path.exists():
        return
    draft = path.with_suffix(".part")
    with path.open(newline="", encoding="utf-8") as old, draft.open("w", newline="") as new:
        reader, writer = csv.reader(old), csv.writer(new, lineterminator="\n")
        header = next(reader, None)
        if header is not None:
            writer.writerow(header)
            key = header.index("run_id")
            writer.writerows(cells for cells in reader if cells[key] in run_ids)
    draft.replace(path)
