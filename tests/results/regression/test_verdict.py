"""The command as a person and a CI job see it: what is printed, written, and the exit status."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from loopbench.results import schema
from loopbench.results.regression.outputs.write import STEP_SUMMARY
from loopbench.results.schema import FACTS, FINDINGS, MEMORY
from tests.results.examples.folders import put
from tests.results.regression.conftest import Judge
from tests.results.regression.tables import (
    ROUNDS,
    Plan,
    apart,
    both,
    drop,
    fact_rows,
    kept,
    only,
    put_in,
    times,
)

GOLDEN = Path(__file__).with_name("golden")
Folder = Callable[..., Path]
Generated = Callable[[Path, str], None]


def _changed() -> Plan:
    """Something in every layer, and doubts beside the regressions."""
    return Plan(
        fact=both(
            only(
                put_in(value="main thread, loop thread"),
                side="candidate",
                stack="aiohttp",
                subject="sync",
                fact="thread",
            ),
            only(
                put_in(value="<b>|`x`\x1b[31m\r\n"),
                side="candidate",
                stack="aiohttp",
                subject="async",
                fact="body",
            ),
            only(drop, side="candidate", stack="quart-hypercorn", subject="sync"),
            only(drop, side="base", stack="quart-hypercorn", subject="async", fact="blocked"),
        ),
        count=both(
            only(times(1.014, "instructions"), side="candidate", stack="aiohttp", route="sync"),
            only(times(1.004, "instructions"), stack="quart-hypercorn", route="async", repeat=1),
            only(
                times(1.012, "instructions"),
                side="candidate",
                stack="quart-hypercorn",
                route="async",
            ),
        ),
        slot=both(
            only(
                times(1.06, "cpu_us_per_request"), side="candidate", stack="aiohttp", case="async"
            ),
            only(
                put_in(failures=2, warnings="failures"),
                side="candidate",
                round=4,
                slot=1,
                stack="quart-hypercorn",
                case="sync",
            ),
            lambda row: (
                None
                if (row["stack"], row["case"]) == ("aiohttp", "sync")
                and int(row["round"] or 0) > 10
                else row
            ),
        ),
    )


@pytest.mark.parametrize("name", ["same", "changed", "baseline", "every"])
def test_what_is_printed_and_written(
    folder: Folder, judge: Judge, generated: Generated, name: str
) -> None:
    """In 80 columns and without colour; the Markdown says the same, shorter."""
    plans = {"same": Plan(), "changed": _changed(), "every": Plan().without("time")}
    path = apart(folder) if name == "baseline" else folder(plans[name])
    said = judge(path.name, *(["--all"] if name == "every" else []))
    assert said.err == ""
    assert said.status == {"same": 0, "changed": 1, "baseline": 2, "every": 0}[name]
    assert "\x1b" not in said.out
    assert max(map(len, said.out.splitlines())) <= 80
    generated(GOLDEN / f"{name}.txt", said.out)
    generated(GOLDEN / f"{name}.md", (path / "regression.md").read_text())


@pytest.mark.parametrize(
    ("plan", "status", "headline"),
    [
        (Plan(), 0, "NO REGRESSION: no fact changed; no route takes 1 % more instructions; ti"),
        (Plan().without("time"), 0, "NO REGRESSION: no fact changed; no route takes 1 % more in"),
        (
            Plan(fact=only(put_in(value="500"), side="candidate", fact="status")),
            1,
            "REGRESSION: aiohttp async status was 200 and is 500 (as in 1 more); quart-hypercorn",
        ),
        (
            Plan(count=only(times(1.02, "instructions"), side="candidate", route="sync")),
            1,
            "REGRESSION: aiohttp sync instructions +2 %, where equal code differs by 0.004 %;",
        ),
        (
            Plan(slot=only(times(1.1, "cpu_us_per_request"), side="candidate", case="sync")),
            1,
            "REGRESSION: aiohttp sync-32 CPU/request µs slower by ",
        ),
        (Plan(sd=0.2), 2, "CANNOT TELL: aiohttp async-32 CPU/request µs cannot-tell: up to "),
        (
            Plan(fact=only(drop, side="base", subject="sync")),
            0,
            "NO REGRESSION: no fact changed; ",
        ),
    ],
)
def test_exit_statuses(
    folder: Folder, judge: Judge, plan: Plan, status: int, headline: str
) -> None:
    """0 says what was ruled out, 1 which and how much, 2 why not."""
    said = judge(folder(plan))
    assert (said.status, said.err) == (status, "")
    printed = " ".join(said.out.split())
    assert headline in printed


def test_a_regression_outweighs_a_doubt(folder: Folder, judge: Judge) -> None:
    """Noise all over the times, and a changed fact: exit 1."""
    plan = Plan(sd=0.2, fact=only(put_in(value="500"), side="candidate", fact="status"))
    assert judge(folder(plan)).status == 1


def test_a_layer_that_could_not_run_is_a_doubt(folder: Folder, judge: Judge) -> None:
    """Without valgrind the other layers are judged, and the whole is not green."""
    plan = Plan()
    why = "valgrind is not installed; on Debian and Ubuntu: apt-get install valgrind"
    plan.layers["instructions"] = {"run": False, "why_not": why, "bound": {}}
    path = folder(plan)
    said = judge(path)
    assert said.status == 2
    assert f"CANNOT TELL: instructions not-run: {why}." in " ".join(said.out.split())
    (row,) = [row for row in _rows(path) if row["layer"] == "instructions"]
    assert (row["verdict"], row["meaning"]) == ("not-run", why)


def test_a_layer_that_nobody_asked_for_is_no_doubt(folder: Folder, judge: Judge) -> None:
    """In JUnit it is skipped; in the table it is named."""
    plan = Plan().without("time")
    plan.layers["instructions"] = {"run": False, "why_not": "not asked for", "bound": {}}
    path = folder(plan)
    said = judge(path)
    assert said.status == 0
    unasked = ("behaviour", "instructions", "memory", "tails", "time")
    assert f"{', '.join(unasked)}: not asked for" in " ".join(said.out.split())
    root = ElementTree.parse(path / "junit.xml").getroot()
    assert root.get("skipped") == "5"


def _rows(path: Path) -> list[dict[str, str]]:
    with (path / "regression.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_table_holds_every_finding(folder: Folder, judge: Judge) -> None:
    """regression.csv reads back through the schema, and a second verdict replaces it."""
    path = folder(_changed())
    judge(path)
    once = list(schema.read_table(path, FINDINGS))
    judge(path)
    assert list(schema.read_table(path, FINDINGS)) == once
    assert {row["layer"] for row in once} == {"facts", "instructions", "time"}
    regressed = [row for row in once if row["verdict"] == "regressed"]
    assert [(row["stack"], row["subject"], row["metric"]) for row in regressed] == [
        ("aiohttp", "sync", "instructions"),
        ("aiohttp", "async-32", "cpu_us_per_request"),
        ("quart-hypercorn", "sync-32", "failures"),
    ]
    cpu = regressed[1]
    assert isinstance(cpu["ratio"], float) and 1.05 < cpu["ratio"] < 1.07
    assert sorted(file.name for file in path.iterdir()) == [
        "exit_status",
        "facts.csv",
        "github-action-benchmark.json",
        "instructions.csv",
        "junit.xml",
        "pyperf-base.json",
        "pyperf-candidate.json",
        "regression.csv",
        "regression.md",
        "sides.json",
        "slots.csv",
    ]


def test_junit_has_a_case_a_cell(folder: Folder, judge: Judge) -> None:
    """Failures for regressions, errors for doubts, with the message; control characters and
    markup from an answer's body do not break the file."""
    path = folder(_changed())
    judge(path)
    root = ElementTree.parse(path / "junit.xml").getroot()
    failures = {
        (case.get("classname"), case.get("name")): failure.get("message")
        for case in root.iter("testcase")
        for failure in case.findall("failure")
    }
    assert failures.keys() == {
        ("regression.facts.aiohttp", "async"),
        ("regression.facts.aiohttp", "sync"),
        ("regression.facts.quart-hypercorn", "sync"),
        ("regression.instructions.aiohttp", "sync"),
        ("regression.time.aiohttp", "async-32"),
        ("regression.time.quart-hypercorn", "sync-32"),
    }
    body = failures["regression.facts.aiohttp", "async"]
    assert body is not None and "<b>|`x`\\x1b[31m\\r\\n" in body
    errors = [case.get("name") for case in root.iter("testcase") if case.find("error") is not None]
    assert errors == ["async", "sync-32"]
    cases = list(root.iter("testcase"))
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
    counts = {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {
        "tests": str(len(cases)),
        "failures": "6",
        "errors": "2",
        "skipped": "3",
    }
    for suite in root:
        assert suite.get("tests") == str(len(suite.findall("testcase")))


def test_text_from_rows_stays_text_in_markdown(folder: Folder, judge: Judge) -> None:
    """A body full of markup begins no cell, line or element of its own."""
    path = folder(_changed())
    judge(path)
    (line,) = [
        line
        for line in (path / "regression.md").read_text().splitlines()
        if line.startswith("| facts | aiohttp async")
    ]
    assert "&lt;b&gt;\\|\\`x\\`" in line
    assert line.replace("\\|", "").count("|") == 8


def test_the_summary_of_a_ci_step_is_appended_to(
    folder: Folder, judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stood there before stays."""
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv(STEP_SUMMARY, str(summary))
    path = folder()
    assert judge(path).status == 0
    assert summary.read_text() == f"before\n{(path / 'regression.md').read_text()}\n"


def test_many_regressions_do_not_flood_the_summary(folder: Folder, judge: Judge) -> None:
    """The table of the Markdown ends, and says how many more there are."""
    path = folder(Plan().without("instructions", "time"))
    put(
        path,
        schema.FACTS,
        (
            {
                "side": side,
                "stack": "aiohttp",
                "subject": f"s{n}",
                "fact": "body",
                "value": f"{side} {n}",
            }
            for side in ("base", "candidate")
            for n in range(300)
        ),
    )
    said = judge(path)
    assert said.status == 1
    assert "; and 297 more." in " ".join(said.out.split())
    text = (path / "regression.md").read_text()
    assert "260 more are in regression.csv." in text
    assert len(text) < 10_000


@pytest.mark.parametrize(
    ("plan", "status"),
    [(Plan(), 0), (Plan(fact=only(put_in(value="500"), side="candidate", fact="status")), 1)],
)
def test_the_status_is_where_a_script_finds_it(
    folder: Folder, judge: Judge, plan: Plan, status: int
) -> None:
    """`make` ends with 2 on every failure: a file has the number, and so has the last line."""
    path = folder(plan.without("time"))
    said = judge(path)
    assert said.status == status
    assert (path / "exit_status").read_text() == f"{status}\n"
    assert said.out.splitlines()[-1] == f"Exit status: {status}"


def test_what_was_not_judged_is_named_last(folder: Folder, judge: Judge) -> None:
    """With how to have it judged; what was judged is not among it."""
    said = judge(folder(Plan().without("time")))
    printed = " ".join(said.out.partition("NO REGRESSION")[2].split())
    unasked = "behaviour, memory, tails, time: not asked for (LAYERS='behaviour memory tails time'"
    assert f"Not judged: {unasked}, or --layer with each)" in printed
    titles = {line for line in said.out.splitlines() if line and not line.startswith(" ")}
    assert {"Facts", "Instructions"} <= titles
    assert not titles & {"Behaviour", "Memory", "Tails", "Time"}
    assert "Not judged: Pythons other than 3.12.1: " in printed
    assert "Not judged: facts" not in printed and "Not judged: instructions" not in printed


def test_a_layer_that_was_broken_off_is_judged_as_far_as_it_came(
    folder: Folder, judge: Judge
) -> None:
    """With the Rounds that were whole, and it is said that there are no more, and why."""
    plan = Plan()
    plan.layers["time"] |= {"why_not": "the load generator has ended", "bound": {"rounds": ROUNDS}}
    said = judge(folder(plan))
    assert said.status == 0
    assert "Not judged: time: the rest of it: the load generator has ended" in said.out


def test_what_was_not_reached_is_neither_gone_nor_the_same(folder: Folder, judge: Judge) -> None:
    """Against a baseline, too, which has it: it may not have been asked for yet. What only the
    baseline has of a stack that was whole is gone."""
    plan = Plan(sides=("candidate",)).without("instructions", "time")
    bound = {"not_reached": [["aiohttp", one] for one in ("a", "b", "c", "d", "e")]}
    plan.layers["facts"] |= {"why_not": "broken off before it was done", "bound": bound}
    plan.fact = only(drop, stack="aiohttp", subject="sync")
    path = folder(plan)
    baseline = Plan(sides=("base",), names={"base": "baseline"})
    folder(baseline.without("instructions", "time"), "checked/baseline")
    said = judge(path)
    assert said.status == 2
    printed = " ".join(said.out.split())
    assert "CANNOT TELL: aiohttp not-run: not reached: a, b, c and 2 more." in printed
    assert "15 facts: 15 same" in printed
    assert "Not judged: facts: aiohttp, not reached: a, b, c and 2 more" in printed
    again = "(LAYERS=facts, or --layer facts, measures it again)"
    assert f"facts: the rest of it: broken off before it was done {again}" in printed
    plan.fact = only(drop, stack="quart-hypercorn", subject="sync")
    (path / "sides.json").unlink()
    assert judge(folder(plan)).status == 1


def test_what_could_be_had_of_neither_side_is_not_judged(folder: Folder, judge: Judge) -> None:
    """It is no failure beside what could, and is named; where it is all, nothing is ruled out."""
    plan = Plan(fact=only(put_in(value="unknown"), fact="blocked")).without("instructions", "time")
    said = judge(folder(plan))
    assert said.status == 0
    printed = " ".join(said.out.split())
    assert "20 facts: 16 same, 4 not to be had of either side" in printed
    for stack in ("aiohttp", "quart-hypercorn"):
        line = f"facts: {stack}, blocked of async, sync: not to be had of either side"
        assert f"Not judged: {line}" in printed
    path = folder(plan)
    blocked = [row for row in fact_rows(plan) if row["fact"] == "blocked"]
    put(path, FACTS, [{**row, "value": "unknown"} for row in blocked])
    said = judge(path)
    assert said.status == 2
    printed = " ".join(said.out.split())
    assert "CANNOT TELL: facts not-run: nothing of it could be had of either side." in printed
    assert "Not judged: facts: nothing of it could be had of either side" in printed


def test_cases_that_the_sides_do_not_ask_alike_are_not_judged(folder: Folder, judge: Judge) -> None:
    """Their contracts have other requests of that name: another answer is no change."""
    plan = Plan(fact=only(put_in(value="404"), side="candidate", subject="sync", fact="status"))
    plan.layers["facts"]["bound"] = {"other_requests": ["sync"]}
    said = judge(folder(plan.without("instructions", "time")))
    assert said.status == 0
    printed = " ".join(said.out.split())
    assert "Not judged: facts: cases that the sides do not ask alike, by their contracts: sync" in (
        printed
    )


def test_a_layer_that_an_older_baseline_lacks_is_new(folder: Folder, judge: Judge) -> None:
    """It is measured now, and there is nothing to hold it against: no failure, and not judged."""
    plan = Plan(sides=("candidate",)).without("instructions", "time")
    plan.layers["memory"] = {"run": True, "why_not": None, "bound": {}}
    path = folder(plan)
    put(path, MEMORY, [kept("candidate", "aiohttp", "plain", 1, 9.0)])
    baseline = Plan(sides=("base",), names={"base": "baseline"})
    folder(baseline.without("instructions", "time"), "checked/baseline")
    said = judge(path)
    assert (said.status, said.err) == (0, "")
    printed = " ".join(said.out.split())
    assert "missing: new: the baseline was measured before there was this layer" in printed
    assert "Not judged: memory: only one side has anything of it" in printed


def test_settings_are_given_in_per_cent(folder: Folder, judge: Judge) -> None:
    """A threshold of 3 % lets 2 % more instructions pass; of 1.5 % it does not."""
    path = folder(Plan(count=only(times(1.02, "instructions"), side="candidate")).without("time"))
    assert judge(path, "--instructions", "3 %").status == 0
    assert judge(path, "--instructions", "1.5").status == 1


def test_packages_that_differ_are_named_with_the_sides(folder: Folder, judge: Judge) -> None:
    """Facts of two versions are compared, and it is said which versions these are; packages of
    stacks that only the baseline was asked for are none of them."""
    path = folder(Plan(sides=("candidate",)).without("instructions", "time"))
    packages = {"aiohttp": "3.13.2", "quart": "0.22.0"}
    base = Plan(sides=("base",), names={"base": "baseline"}, packages=packages)
    folder(base, "checked/baseline")
    done = judge(path)
    assert done.status == 0
    assert "Packages that differ: aiohttp 3.13.2, now 3.14.5\n" in done.out
    assert "- Packages that differ: aiohttp 3.13.2, now 3.14.5\n" in (
        path / "regression.md"
    ).read_text(encoding="utf-8")


def test_a_change_of_all_routes_does_not_hide_another(folder: Folder, judge: Judge) -> None:
    """The headline has each change once, with how often it is there."""
    path = folder(Plan().without("instructions", "time"))
    changed = [*((f"s{n}", "date", "then") for n in range(20)), ("json", "status", "204")]
    put(
        path,
        schema.FACTS,
        (
            {"side": side, "stack": "a", "subject": subject, "fact": fact, "value": value}
            for subject, fact, after in changed
            for side, value in (("base", "before"), ("candidate", after))
        ),
    )
    said = " ".join(judge(path).out.split())
    assert (
        "REGRESSION: a s0 date was before and is then (as in 19 more); "
        "a json status was before and is 204." in said
    )
