"""Answers from stacks that differ in one thing: the loop, the server, or a framework above it."""

from __future__ import annotations

from collections.abc import Sequence

from loopbench.results.report.data import Material
from loopbench.results.report.questions import many
from loopbench.results.report.questions.reply import (
    MOST_NAMED,
    Figure,
    Reply,
    capital,
    offered,
    over,
    times,
)
from loopbench.results.report.sections import framework_split
from loopbench.results.report.sections.throughput import CPU
from loopbench.results.report.series.findings import doubted
from loopbench.results.stats import formatting
from loopbench.results.stats.comparisons import framework_split_text
from loopbench.results.stats.comparisons.framework_split import Split


def _peers(material: Material, differ: str, same: tuple[str, ...]) -> list[tuple[str, str]]:
    """Pairs of stacks that differ in one fact and share others."""

    def fact(stack: str, key: str) -> object:
        facts = material.facts.get(stack, {})
        loop = facts.get("loop")
        return loop.get("class") if key == "loop" and isinstance(loop, dict) else facts.get(key)

    stacks = [stack for stack in material.contenders() if stack in material.facts]
    return [
        (one, other)
        for place, one in enumerate(stacks)
        for other in stacks[place + 1 :]
        if all(fact(one, key) is not None and fact(one, key) == fact(other, key) for key in same)
        and None not in (fact(one, differ), fact(other, differ))
        and fact(one, differ) != fact(other, differ)
    ]


def _beside_peers(material: Material, pairs: Sequence[tuple[str, str]], what: str) -> Reply | None:
    """The ratios of throughput of pairs that differ in one thing."""
    peers = [
        first
        for one, other in pairs
        if (first := many.first_peers(material, one, other)) is not None
    ]
    if not peers:
        return None
    if len(peers) > MOST_NAMED:
        return many.peers(material, peers)
    alike = len({of.where for of in peers}) == 1
    figures = [
        Figure(
            f"{of.other} over {of.one}{'' if alike else f' in {material.name(of.where)}'}",
            0.0,
            times(of.ratio) if not of.doubts else f"cannot tell ({_codes(of.doubts)})",
        )
        for of in peers
    ]
    place = f", {offered(material, peers[0].where)}" if alike else ""
    return Reply(f"{capital(over(figures, 'for'))}: {what}{place}")


def _codes(doubts: Sequence[str]) -> str:
    return formatting.listed(map(formatting.plain, doubts))


def uvloop(material: Material) -> Reply | None:
    """Stacks that differ in the loop alone."""
    pairs = [
        (one, other) if _on_uvloop(material, other) else (other, one)
        for one, other in _peers(material, "loop", ("framework", "server"))
        if _on_uvloop(material, one) or _on_uvloop(material, other)
    ]
    return _beside_peers(material, pairs, "the throughput with uvloop over that without it")


def _on_uvloop(material: Material, stack: str) -> bool:
    return "uvloop" in str(material.facts[stack].get("loop"))


def layers(material: Material) -> Reply | None:
    """The framework's part of a request's CPU time; else frameworks on several servers."""
    parts = framework_split.frameworks(material)
    if not parts:
        pairs = _peers(material, "server", ("framework", "loop"))
        return _beside_peers(
            material, pairs, "the throughput of one framework on another server, the loop the same"
        )
    shares = [Figure(split.pair.other, split.share, _share(split)) for split in parts]
    where = (parts[0].scenario, parts[0].load)
    return Reply(
        f"{capital(over(shares))} of a request's CPU time is the framework's and the rest the "
        "server's: so much is added to a bare ASGI application on the same server "
        f"({parts[0].scenario}){doubted(material, {where: (CPU,)})}",
        tuple(map(_part, parts)),
        many.layers(parts),
    )


def _share(split: Split) -> str:
    """The framework's, as far as it can be told from none."""
    if split.ratio.significant is False:
        return "no part that can be told"
    few = " (too few Rounds for an interval)" if split.interval is None else ""
    return f"{split.share:.0%}{few}"


def _part(split: Split) -> str:
    return (
        f"{split.pair.other}: {framework_split_text.share(split)}, "
        f"{framework_split_text.difference(split)} µs of {formatting.digits(split.other)} µs"
    )
