"""Other differences between two occasions: where routes ran, and answers of `make behaviour`.

Facts, without statistics: each difference is shown as before and after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from loopbench.results import schema
from loopbench.results.folder.behaviour_answers import questions
from loopbench.results.folder.folder import Folder
from loopbench.results.folder.tables import optional_rows
from loopbench.results.stats.comparisons.compare import Difference


def otherwise(first: Folder, second: Folder) -> tuple[Difference, ...]:
    """Differences of what both folders know. Raises ResultsError for a table that cannot be
    opened."""
    return tuple(
        difference
        for facts in (_places, _answers)
        for difference in _between(facts(first), facts(second))
    )


def _between(one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Difference]:
    for what in one:
        if what in other and one[what] != other[what]:
            yield Difference(what, one[what], other[what])


def _places(folder: Folder) -> dict[str, str]:
    """By stack and route: kinds of threads, and classes of loops, of all Runs."""
    stacks = {run.run_id: run.stack for run in folder.runs}
    by_route: defaultdict[str, set[str]] = defaultdict(set)
    for row in optional_rows(folder.path, schema.OBSERVATIONS, []):
        stack = stacks.get(str(row["run_id"]))
        if stack is not None:
            thread = "the loop's thread" if row["is_loop_thread"] else "a worker thread"
            loop = f", {row['loop_class']}" if row["loop_class"] else ", no loop"
            by_route[f"{stack} {row['route']} ran on"].add(thread + loop)
    return {what: " and ".join(sorted(places)) for what, places in by_route.items()}


def _answers(folder: Folder) -> dict[str, str]:
    """By question, stack and setting: the newest Python's answer. One that varies is no fact."""
    asked = questions(optional_rows(folder.path, schema.BEHAVIOUR, []))
    return {
        f"{question.name}, {outcome.label}": list(outcome.answers.values())[-1]
        for question in asked
        for outcome in question.asked
        if not outcome.varies
    }
