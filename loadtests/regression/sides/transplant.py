"""A virtual environment that holds what a server needs of another one, and nothing else.

Given as text to `python -c`, as introspection is, and run by the interpreter whose packages are
wanted. It uses the standard library alone. Arguments: the folder to fill, the version of the
environment's own files, and the distributions that are wanted, with what they need.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_KEPT = ("METADATA", "entry_points.txt")
"""Of what the installer writes about a distribution: the rest says where and how it came here."""


def closure(wanted: list[str]) -> list[metadata.Distribution]:
    """These distributions and all that they need, as far as they are installed, by name."""
    distributions: dict[str, metadata.Distribution | None] = {}
    open_ = list(wanted)
    while open_:
        name = re.sub(r"[-_.]+", "-", open_.pop()).lower()
        if name in distributions:
            continue
        try:
            distribution = distributions[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            distributions[name] = None  # for another platform, or not needed on this Python
            continue
        for requirement in distribution.requires or ():
            match = _NAME.match(requirement)
            if match is not None and "extra ==" not in requirement:
                open_.append(match.group())
    return [installed for _, installed in sorted(distributions.items()) if installed is not None]


def copy(distribution: metadata.Distribution, site: Path) -> None:
    """Its modules, without what was compiled of them or lies outside of the packages' folder."""
    for file in distribution.files or ():
        parts = file.parts
        about = parts[0].endswith((".dist-info", ".egg-info"))
        if ".." in parts or file.suffix == ".pyc" or (about and parts[-1] not in _KEPT):
            continue
        source = Path(str(file.locate()))
        if file.is_absolute() or not source.is_file():
            continue
        target = site.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def main(place: str, *wanted: str) -> None:
    base = getattr(sys, "_base_executable", None) or sys.executable
    environment = Path(place)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = environment / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to(base)
    (environment / "pyvenv.cfg").write_text(
        f"home = {os.path.dirname(base)}\ninclude-system-site-packages = false\n"
    )
    for distribution in closure(list(wanted)):
        copy(distribution, site)


if __name__ == "__main__":
    main(*sys.argv[1:])
