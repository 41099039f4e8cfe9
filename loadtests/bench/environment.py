"""What the figures were measured on: machine, versions, settings, command."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

from loopbench.loadtests.hosts.cpus import CpuPlan, allowed_cpus
from loopbench.loadtests.hosts.host_info import cpu_model
from loopbench.results.schema import ENVIRONMENT_FILE, INSTALLED, ROOT, SCHEMA_VERSION
from loopbench.results.schema.files import write_whole
from loopbench.servers.store_urls import without_secrets
from loopbench.servers.supervision import own_modules
from loopbench.servers.supervision.cpu_quota import cpu_quotas, strictest
from loopbench.servers.supervision.messages import Json

_GENERATOR_PACKAGES = ("locust", "gevent", "greenlet", "geventhttpclient")

_UNSHOWN = "--out"
"""The option whose folder is another one the next time."""

_PLACES = {"--app-dir": "DIR", "--scenarios": "FILE.toml", "--key-file": "KEY"}
"""Options that name a place, and what is shown for one that means nothing elsewhere."""

_SECRETS = {"--header": ":", "--arg": "="}
"""Options whose value may be a password, behind the sign after its name."""

FINGERPRINT = ("machine", "python", "packages", "stores")
"""The parts that must not change between the Runs of one results folder."""


def describe(cpus: CpuPlan, command: list[str], seed: int, *, awake: bool = False) -> Json:
    """Everything that is known before a server has been started, as JSON types.

    awake: whether idle CPUs are kept from sleeping, see `loadtests.hosts.awake`.
    What the servers themselves say is added under `stacks` as they are asked.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "seed": seed,
        "suite": _suite(),
        "machine": {**_machine(), "kept_awake": awake},
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "compiler": platform.python_compiler(),
        },
        "packages": {name: metadata.version(name) for name in _GENERATOR_PACKAGES},
        "pinned": {
            "server": sorted(cpus.server) if cpus.server else None,
            "generator": sorted(cpus.generator) if cpus.generator else None,
        },
        "stacks": {},
        "left_out": {},
    }


def drifted(before: Json, now: Json) -> list[str]:
    """Which parts of the fingerprint differ between two descriptions, and which of the stacks
    that both know differ in what is in force in them."""
    was, is_now = before.get("stacks"), now.get("stacks", {})
    if not isinstance(was, dict):  # it was edited: nothing is known to be as it was
        was = dict.fromkeys(is_now)
    stacks = [name for name in is_now if name in was and was[name] != is_now[name]]
    return [part for part in FINGERPRINT if before.get(part) != now.get(part)] + stacks


def write(folder: Path, environment: Json) -> None:
    """Write environment.json whole or not at all. Raises OSError."""
    text = json.dumps(environment, indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / ENVIRONMENT_FILE, text)


def read(folder: Path) -> Json | None:
    """environment.json of a folder; None where there is none. Raises ValueError and OSError."""
    try:
        described: Json = json.loads((folder / ENVIRONMENT_FILE).read_text())
    except FileNotFoundError:
        return None
    return described


def _machine() -> Json:
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "cpu_model": cpu_model(),
        "cpus": os.cpu_count(),
        "cpus_allowed": allowed_cpus(),
        "cpu_quota": strictest(cpu_quotas()),
        "memory_bytes": psutil.virtual_memory().total,
        "governor": _line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "clocksource": _line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "listen_backlog_limit": _line("/proc/sys/net/core/somaxconn"),
    }


def _line(path: str) -> str | None:
    """A one-line file of the system; None where there is none."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _suite() -> Json:
    """The suite's own version: the commit, and whether anything was changed since."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit,
        "changed": None if commit is None or changes is None else bool(changes),
    }


def _git(*arguments: str) -> str | None:
    if INSTALLED:
        return None  # a repository around it is the person's own
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def shown_command(arguments: list[str]) -> list[str]:
    """The command that makes the figures again, without this machine's folders and passwords: a
    place is named as seen from the suite's own folder, or left for the reader to fill in."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        option, joined, value = word.partition("=")
        if option in _SECRETS:
            sign = _SECRETS[option]
            name = (value if joined else next(words, "")).partition(sign)[0]
            kept += [option, f"{name}{sign}…"]
            continue
        if option not in (*_PLACES, _UNSHOWN):
            kept.append(word)
            continue
        place = value if joined else next(words, "")
        if option != _UNSHOWN:
            kept += [option, _shown_place(place, _PLACES[option])]
    return [*own_modules.program("python -m loadtests"), *map(without_secrets, kept)]


def _shown_place(place: str, otherwise: str) -> str:
    path = Path(place)
    if path.is_relative_to(ROOT):
        return str(path.relative_to(ROOT))
    return otherwise if path.is_absolute() else place
