"""What a run says of versions: which it has. What a bump changes, two runs or a check say."""

from __future__ import annotations

from collections.abc import Mapping

from loopbench.results.folder.folder import written
from loopbench.results.report.data import Material
from loopbench.results.report.series.findings import listed

_NAMED = ("framework", "server")
"""Facts that name a package; behind a slash stands the server's HTTP parser or kind of worker."""


def unchanged(material: Material) -> str:
    """That no version changes within a run, and which versions this one has."""
    versions = list(_versions(material))
    held = f", which has {listed(versions)}" if versions else ""
    return f"No version changes within one run{held}."


def _versions(material: Material) -> dict[str, None]:
    """`aiohttp 3.14.5` of the frameworks and servers that the stacks consist of, each once."""
    versions: dict[str, None] = {}
    for stack in material.stacks:
        facts = material.facts.get(stack, {})
        packages = facts.get("packages")
        if isinstance(packages, Mapping):
            named = {str(facts.get(key)).partition("/")[0].lower() for key in _NAMED}
            for package in packages:
                if package in named:
                    versions[f"{package} {written(packages[package])}"] = None
    return versions
