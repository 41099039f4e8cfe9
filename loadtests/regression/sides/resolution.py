"""Which packages a side's environment is to hold, known before anything is installed."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.sides import processes
from loopbench.servers.supervision.messages import Json
from loopbench.servers.supervision.scratch import scratch_folder

_BOUND_S = 300.0
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)(.*)$", re.S)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_HASH = re.compile(r"--hash=(\w+):([0-9a-f]+)")
_IN_THE_WAY = re.compile(r"The user requested \(constraint\) ([A-Za-z0-9][\w.-]*)==")
_NEEDS_ANOTHER = re.compile(r"^\s+([A-Za-z0-9][\w.-]*) \S+ depends on ", re.M)
_NOT_THERE = re.compile(
    r"Could not find a version that satisfies the requirement (\S+).*\(from versions: (.*)\)"
)


@dataclass(frozen=True, slots=True)
class Pin:
    """One version of one distribution; hashes: of its files, as `sha256:…`."""

    name: str
    version: str
    hashes: frozenset[str]

    def __str__(self) -> str:
        options = "".join(f" --hash={digest}" for digest in sorted(self.hashes))
        return f"{self.name}=={self.version}{options}"


def normal(name: str) -> str:
    """A distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins_of(lock: str) -> dict[str, Pin]:
    """What a lock holds, by name."""
    pins = {}
    for line in re.sub(r"\\\n", " ", lock).splitlines():
        match = _PIN.match(line)
        if match is not None:
            name, version, rest = match.groups()
            hashes = frozenset(f"{kind}:{digest}" for kind, digest in _HASH.findall(rest))
            pins[normal(name)] = Pin(normal(name), version, hashes)
    return pins


def interpreter() -> str:
    """Which interpreter an environment is for: another build, or one elsewhere, is another."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    return f"{sys.version} {platform.machine()} {Path(base).resolve()}"


def resolve(lock: str, replaced: Sequence[str], roots: Iterable[str]) -> tuple[Pin, ...]:
    """The distributions to install for `roots`: by the lock, as far as `replaced` allows.

    replaced: requirements in place of the lock's pins. Where they need another version of
    something than the lock has, the newest that they allow is taken. roots: names; those that the
    lock does not have are left out.

    Raises HarnessError, one line, where there is no such version or no solution.
    """
    locked = pins_of(lock)
    named = {normal(match.group()) for match in map(_NAME.match, replaced) if match is not None}
    rest = [name for name in map(normal, roots) if name in locked and name not in named]
    loosened = set(named)
    while True:
        kept = [pin for name, pin in locked.items() if name not in loosened]
        report = _ask([*replaced, *rest], kept)
        if not isinstance(report, str):
            return _checked(report, locked)
        in_the_way = _in_the_way(report, locked.keys() - loosened)
        if not in_the_way:
            raise HarnessError(_reason(report, replaced))
        loosened |= in_the_way


def _in_the_way(output: str, kept: Collection[str]) -> set[str]:
    """Which of the kept pins contradict: those that the installer names as such, or else the last
    of those that need another version of something."""
    named = {normal(name) for name in _IN_THE_WAY.findall(output)}
    needing = [normal(name) for name in _NEEDS_ANOTHER.findall(output)]
    return named & set(kept) or {name for name in needing if name in kept and name == needing[-1]}


def _ask(requirements: Sequence[str], constraints: Iterable[Pin]) -> Json | str:
    """The installer's report of what it would install; a text where it would not."""
    with scratch_folder("resolve_") as temporary:
        report, pins = temporary / "report.json", temporary / "constraints.txt"
        pins.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in constraints))
        command = [
            *(sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "install"),
            *("--dry-run", "--ignore-installed", "--prefer-binary", "--report", str(report)),
            *("--constraint", str(pins), *requirements),
        ]
        try:
            done = processes.run(command, _BOUND_S)
        except subprocess.TimeoutExpired:
            raise HarnessError(
                f"{' '.join(requirements)}: the package index did not answer within {_BOUND_S:g} s"
            ) from None
        if done.returncode:
            return f"{done.stdout}\n{done.stderr}"
        document: Json = json.loads(report.read_text(encoding="utf-8"))
        return document


def _checked(report: Json, locked: Mapping[str, Pin]) -> tuple[Pin, ...]:
    """The report as Pins. Raises HarnessError for a file that the lock does not know."""
    pins = []
    for item in report["install"]:
        name, version = normal(item["metadata"]["name"]), item["metadata"]["version"]
        file = item["download_info"].get("archive_info", {}).get("hashes", {})
        pin = Pin(name, version, frozenset(f"{kind}:{digest}" for kind, digest in file.items()))
        known = locked.get(name)
        if known is not None and known.version == version and not known.hashes & pin.hashes:
            raise HarnessError(f"{name} {version}: its file is none of those that the lock allows")
        pins.append(pin)
    return tuple(sorted(pins, key=lambda pin: pin.name))


def _reason(output: str, replaced: Collection[str]) -> str:
    """Why the installer would not, in a line."""
    missing = _NOT_THERE.search(output)
    if missing is not None:
        wish, versions = missing.groups()
        there = [version.strip() for version in versions.split(",")]
        if there == ["none"]:
            return f"{wish} is not to be had: no package of this name has a version for this Python"
        newest = f"of the versions that the package index has, the newest is {there[-1]}"
        return f"{wish} is not to be had: {newest}"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    what = " ".join(replaced) or "the lock's packages"
    return f"{what} cannot be installed: {(errors or lines or ['no reason given'])[0]}"
