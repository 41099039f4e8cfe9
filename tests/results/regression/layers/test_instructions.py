"""Layer 2: the threshold, the spread, and what cannot be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from loopbench.results.regression import evidence
from loopbench.results.regression.finding import Finding, Settings, Verdict, Weight
from loopbench.results.regression.layers import instructions
from loopbench.results.schema import INSTRUCTIONS, Row
from tests.results.examples.folders import put
from tests.results.regression.tables import FINGERPRINT, Plan, drop, only, times

Folder = Callable[..., Path]

PACKAGES = {"aiohttp": "3.14.5", "yarl": "1.25.1"}


def _counts(base: Sequence[float], candidate: Sequence[float]) -> list[Row]:
    return [
        {
            "side": side,
            "stack": "aiohttp",
            "route": "async",
            "repeat": repeat,
            "requests": 500,
            "instructions": count,
        }
        for side, counts in (("base", base), ("candidate", candidate))
        for repeat, count in enumerate(counts, start=1)
    ]


def _searching(base: float | None, candidate: float | None, repeats: int = 3) -> list[Row]:
    """Counts of 1,000 instructions on both sides, and what each spent on searching."""
    rows = _counts((1000,) * repeats, (1000,) * repeats)
    spent = {"base": base, "candidate": candidate}
    return [{**row, "searching": spent[str(row["side"])]} for row in rows]


@pytest.mark.parametrize(
    ("base", "candidate", "verdicts"),
    [
        (5, 5, {"instructions": Verdict.SAME}),
        (0, 9, {"instructions": Verdict.SAME}),
        (9, 0, {"instructions": Verdict.SAME}),
        (0, 15, {"instructions": Verdict.SAME}),
        (5, 36, {"instructions": Verdict.SAME, "searching": Verdict.REGRESSED}),
        # Counted before searches were told apart: as they stand, and never against others.
        (None, None, {"instructions": Verdict.SAME}),
        (None, 5, {"instructions": Verdict.CANNOT_TELL}),
        (5, None, {"instructions": Verdict.CANNOT_TELL}),
    ],
)
def test_searches_of_classes_are_judged_by_themselves(
    folder: Folder, base: float | None, candidate: float | None, verdicts: Mapping[str, Verdict]
) -> None:
    """From 3 % of the request on; less may be where names lie."""
    path = folder()
    put(path, INSTRUCTIONS, _searching(base, candidate))
    found = instructions.judge(evidence.read(path), Settings())
    assert {one.metric: one.verdict for one in found} == verdicts


def test_a_growth_of_searching_says_what_it_is(folder: Folder) -> None:
    """In its own figures and as a share of the request; a single count leaves it in doubt."""
    path = folder()
    put(path, INSTRUCTIONS, _searching(20, 62))
    _, found = instructions.judge(evidence.read(path), Settings())
    assert (found.base, found.candidate) == ("20", "62")
    assert found.meaning == (
        "+4.1 %, where equal code differs by 0 %; "
        "by searches of classes alone, as a share of the request"
    )
    put(path, INSTRUCTIONS, _searching(20, 62, repeats=1))
    _, found = instructions.judge(evidence.read(path), Settings())
    assert found.verdict is Verdict.CANNOT_TELL


def _route(path: Path, base: Sequence[float], candidate: Sequence[float]) -> Finding:
    put(path, INSTRUCTIONS, _counts(base, candidate))
    (found,) = instructions.judge(evidence.read(path), Settings())
    return found


@pytest.mark.parametrize(
    ("base", "candidate", "verdict", "detectable"),
    [
        ((1000, 1000, 1000), (1000, 1000, 1000), Verdict.SAME, 0.01),
        ((1000, 1000, 1000), (1009, 1009, 1009), Verdict.SAME, 0.01),
        ((1000, 1000, 1000), (1010, 1010, 1010), Verdict.REGRESSED, 0.01),
        ((1000, 1000, 1000), (990, 990, 990), Verdict.IMPROVED, 0.01),
        ((1000, 1000, 1000), (991, 991, 991), Verdict.SAME, 0.01),
        # The spread of one side, 0.5 %: nothing under 5 % is called.
        ((1000, 1000, 1005), (1050, 1050, 1050), Verdict.REGRESSED, 0.05),
        ((1000, 1000, 1005), (1049, 1049, 1049), Verdict.CANNOT_TELL, 0.05),
        ((1000, 1000, 1005), (1020, 1020, 1020), Verdict.CANNOT_TELL, 0.05),
        ((1000, 1000, 1005), (1006, 1006, 1006), Verdict.CANNOT_TELL, 0.05),
        ((1000, 1000, 1005), (1004, 1004, 1004), Verdict.SAME, 0.05),
        ((1000, 1000, 1005), (960, 960, 960), Verdict.SAME, 0.05),
        ((1000, 1000, 1000), (1000, 1000, 1005), Verdict.SAME, 0.05),
        # One bad count of three moves no median, but it widens the spread.
        ((1000, 1000, 1000), (1000, 1000, 1100), Verdict.CANNOT_TELL, 1.0),
        # Counted once, a side has no spread: only what is far from a growth is decided.
        ((1000,), (1000, 1000), Verdict.SAME, 0.01),
        ((1000,), (1004,), Verdict.SAME, 0.01),
        ((1000,), (991,), Verdict.SAME, 0.01),
        ((1000,), (1006,), Verdict.CANNOT_TELL, None),
        ((1000,), (1100,), Verdict.CANNOT_TELL, None),
        ((1000,), (990,), Verdict.CANNOT_TELL, None),
        ((1000, 994, 1000), (1000,), Verdict.CANNOT_TELL, None),
        ((1000, 1000), (0, 0), Verdict.CANNOT_TELL, None),
    ],
)
def test_a_route_by_its_medians_and_the_wider_spread(
    folder: Folder,
    base: Sequence[float],
    candidate: Sequence[float],
    verdict: Verdict,
    detectable: float | None,
) -> None:
    """At 1 % or more regressed, and never on less than ten times the spread."""
    found = _route(folder(), base, candidate)
    assert found.verdict is verdict
    assert found.detectable == (None if detectable is None else pytest.approx(detectable))


LOW, HIGH = 2_018_604, 2_052_000
"""A route whose windows meet a cost of 1.7 %, or do not."""


@pytest.mark.parametrize(
    ("base", "candidate", "verdict"),
    [
        ((LOW, LOW + 50, LOW, HIGH), (HIGH, HIGH + 30, LOW, HIGH + 10), Verdict.CANNOT_TELL),
        ((LOW, LOW, LOW), (HIGH, HIGH, LOW), Verdict.CANNOT_TELL),
        ((LOW, LOW + 50, LOW, HIGH), (HIGH + 1, HIGH + 30, HIGH + 20), Verdict.REGRESSED),
        ((LOW, LOW, LOW, HIGH, HIGH), (HIGH, HIGH, HIGH, HIGH, HIGH), Verdict.CANNOT_TELL),
    ],
)
def test_counts_of_two_levels_that_both_sides_have_are_no_growth(
    folder: Folder, base: Sequence[float], candidate: Sequence[float], verdict: Verdict
) -> None:
    """However well each level repeats; one disturbed count of the base hides no growth."""
    found = _route(folder(), base, candidate)
    assert found.verdict is verdict
    # What stands behind the semicolon is what the terminal says of it, beside the ratio.
    overlaps = verdict is Verdict.CANNOT_TELL and "could be told" not in found.meaning
    assert found.meaning.partition("; ")[2] == ("counts of both sides overlap" if overlaps else "")


def test_the_finding_says_by_how_much(folder: Folder) -> None:
    """Medians of both sides, ratio, and what equal code differs by."""
    found = _route(folder(), (247_000, 247_010, 246_990), (250_458, 250_460, 250_450))
    assert (found.base, found.candidate, found.n) == ("247,000", "250,458", 3)
    assert found.ratio == pytest.approx(1.014)
    assert found.meaning == "+1.4 %, where equal code differs by 0.008 %"


def test_another_threshold(folder: Folder) -> None:
    """It is a setting: 2 % more is no regression where 3 % is asked for."""
    path = folder(Plan(count=only(times(1.02, "instructions"), side="candidate")))
    found = evidence.read(path)
    for settings, verdict in (
        (Settings(), Verdict.REGRESSED),
        (Settings(instructions=0.03), Verdict.SAME),
    ):
        assert {f.verdict for f in instructions.judge(found, settings)} == {verdict}


@pytest.mark.parametrize(
    ("side", "weight"), [("candidate", Weight.REGRESSION), ("base", Weight.FINE)]
)
def test_a_route_that_one_side_has(folder: Folder, side: str, weight: Weight) -> None:
    """Gone from the candidate it is a finding, new it is none."""
    path = folder(Plan(count=only(drop, side=side, route="sync")))
    found = instructions.judge(evidence.read(path), Settings())
    missing = [finding for finding in found if finding.verdict is Verdict.MISSING]
    assert [(f.stack, f.subject, f.weight) for f in missing] == [
        ("aiohttp", "sync", weight),
        ("quart-hypercorn", "sync", weight),
    ]


def _baseline(folder: Folder, packages: Mapping[str, str] = PACKAGES, **parts: str | None) -> Path:
    """A check of one side, and in it the baseline, counted with another fingerprint."""
    path = folder(Plan(sides=("candidate",), packages=PACKAGES))
    base = Plan(
        sides=("base",),
        names={"base": "baseline"},
        fingerprint={**FINGERPRINT, **parts},
        packages=packages,
    )
    folder(base, "checked/baseline")
    return path


def test_a_baseline_of_the_same_environment_is_compared(folder: Folder) -> None:
    """Equal fingerprints: route by route."""
    found = instructions.judge(evidence.read(_baseline(folder)), Settings())
    assert [finding.verdict for finding in found] == [Verdict.SAME] * 4


@pytest.mark.parametrize("part", FINGERPRINT)
@pytest.mark.parametrize("value", ["another", None])
def test_a_baseline_of_another_environment_is_not_compared(
    folder: Folder, part: str, value: str | None
) -> None:
    """One line says what differs; whoever gates on it is not told that all is well."""
    path = _baseline(folder, PACKAGES, **{part: value})
    (found,) = instructions.judge(evidence.read(path), Settings())
    assert found.verdict is Verdict.NOT_RUN
    assert found.weight is Weight.DOUBT
    assert found.meaning.startswith(f"not compared: the baseline was counted with another {part},")


def test_a_baseline_of_more_stacks_is_compared(folder: Folder) -> None:
    """Packages of stacks that nobody asked for now make no difference."""
    path = _baseline(folder, {**PACKAGES, "quart": "0.22.0"})
    found = instructions.judge(evidence.read(path), Settings())
    assert [finding.verdict for finding in found] == [Verdict.SAME] * 4


@pytest.mark.parametrize(
    ("packages", "said", "base"),
    [
        (
            {"aiohttp": "3.13.2", "yarl": "1.25.1"},
            "aiohttp 3.13.2, now 3.14.5",
            "'aiohttp==3.13.2'",
        ),
        ({"aiohttp": "3.14.5"}, "yarl none, now 1.25.1", "REF"),
        (
            {"aiohttp": "3.13.2", "yarl": "1.20.0"},
            "aiohttp 3.13.2, now 3.14.5; yarl 1.20.0, now 1.25.1",
            "'aiohttp==3.13.2 yarl==1.20.0'",
        ),
    ],
)
def test_a_baseline_of_other_packages_names_them_and_the_base_to_ask_for(
    folder: Folder, packages: Mapping[str, str], said: str, base: str
) -> None:
    """Versions that can be installed side by side are the remedy."""
    (found,) = instructions.judge(evidence.read(_baseline(folder, packages)), Settings())
    assert found.verdict is Verdict.NOT_RUN
    assert found.meaning == (
        f"not compared: the baseline was counted with other packages ({said}); "
        f"`--base {base}` counts both sides here"
    )
