"""Where a bench runs while it is hurt: a control group, a disk or a wall clock of its own."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.processes import eventually

CGROUPS = Path("/sys/fs/cgroup")
_WALL_CLOCK = Path(__file__).with_name("wall_clock.c")
_DISK_BYTES = 16 << 20
_EATEN_BYTES = 32 << 20
_SPARE_BYTES = 8 << 20


class NotHere(Exception):
    """A fault that this machine does not allow to provoke; its text says why."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """prefix: put in front of the bench's command. variables: of its environment. place: where its
    results folder is to be made. control: what `hurt` needs to change the surroundings."""

    place: Path
    prefix: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    control: Path | None = None


Within = Callable[[Path], AbstractContextManager[Surroundings]]


@contextmanager
def plain(scratch: Path) -> Iterator[Surroundings]:
    """Nothing special."""
    yield Surroundings(scratch)


def in_group(controller: str) -> Within:
    """In a control group of its own, of version 2 or 1, where the limit of `controller` is none
    yet. control: the group's folder."""

    @contextmanager
    def within(scratch: Path) -> Iterator[Surroundings]:
        group = _group_root(controller) / f"loopbench-faults-{os.getpid()}"
        try:
            group.mkdir()
        except OSError as error:
            raise NotHere(f"no control group can be made: {error.strerror}") from None
        try:
            enter = ("sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(group))
            yield Surroundings(scratch, prefix=enter, control=group)
        finally:
            # A process that has just ended may still be counted.
            assert eventually(lambda: _removed(group)), f"{group} cannot be removed"

    return within


def _group_root(controller: str) -> Path:
    second = CGROUPS / "cgroup.subtree_control"
    if second.exists() and controller in second.read_text().split():
        return CGROUPS
    if (CGROUPS / controller / "cgroup.procs").exists():
        return CGROUPS / controller
    raise NotHere(f"there is no control group for {controller}")


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def limit_processes(group: Path) -> None:
    """No process and no thread more than there are now."""
    (group / "pids.max").write_text((group / "pids.current").read_text())


def exhaust_memory(group: Path, victim: int) -> None:
    """Have another process of the group need more than its limit leaves, so that the kernel's
    killer chooses among all of them. It is told to prefer `victim`, and after that the other one:
    what the victim had may not be enough for it."""
    Path(f"/proc/{victim}/oom_score_adj").write_text("1000")
    version_2 = (group / "memory.max").exists()
    used = group / ("memory.current" if version_2 else "memory.usage_in_bytes")
    limit = group / ("memory.max" if version_2 else "memory.limit_in_bytes")
    limit.write_text(str(int(used.read_text()) + _SPARE_BYTES))
    eat = f"data = b'x' * {_EATEN_BYTES}"
    enter = 'echo 999 >/proc/$$/oom_score_adj && echo $$ >"$0/cgroup.procs" && exec "$@"'
    subprocess.run(["sh", "-c", enter, str(group), sys.executable, "-S", "-c", eat], check=False)
    limit.write_text("max" if version_2 else "-1")


@contextmanager
def own_disk(scratch: Path) -> Iterator[Surroundings]:
    """On a small ext4 of its own, which becomes read-only at an error, as a failing disk does.
    control: the file that causes such an error."""
    image, place = scratch / "image", scratch / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(_DISK_BYTES)
    options = ["-o", "loop,errors=remount-ro"]
    for command in (
        ["mkfs.ext4", "-q", "-F", str(image)],
        ["mount", *options, str(image), str(place)],
    ):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotHere(f"{command[0]} does not do it here: {error}") from None
    try:
        device = Path(_source(place)).name
        yield Surroundings(place, control=Path(f"/sys/fs/ext4/{device}/trigger_fs_error"))
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _source(place: Path) -> str:
    for line in Path("/proc/mounts").read_text().splitlines():
        source, target, *_ = line.split()
        if target == str(place):
            return source
    raise NotHere(f"{place} is not mounted")


def repair(place: Path) -> None:
    """Mount the disk anew, writable."""
    image = place.parent / "image"
    subprocess.run(["umount", str(place)], check=True)
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", str(image), str(place)], check=True)


@contextmanager
def own_clock(scratch: Path) -> Iterator[Surroundings]:
    """With a wall clock that a file moves: see wall_clock.c. control: that file."""
    library, clock = scratch / "wall_clock.so", scratch / "clock"
    command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(_WALL_CLOCK)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotHere(f"no C compiler: {error}") from None
    set_clock(clock, 0.0)
    variables = {"LD_PRELOAD": str(library), "LOOPBENCH_CLOCK": str(clock)}
    yield Surroundings(scratch, variables=variables, control=clock)


def set_clock(clock: Path, ahead_s: float) -> None:
    """Move the wall clock to so many seconds before the machine's. Written in place, since every
    process has mapped the file."""
    descriptor = os.open(clock, os.O_WRONLY | os.O_CREAT)
    os.pwrite(descriptor, struct.pack("=q", round(ahead_s * 1e9)), 0)
    os.close(descriptor)
