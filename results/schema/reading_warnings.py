"""Warnings that can only be seen when rows are read together, and their thresholds."""

from __future__ import annotations

import enum

from loopbench.results.schema.wording import LOAD_TIMES, Wording

GENERATOR_LIMIT = 0.9
"""Share of the yardstick's throughput from which on the server is not the limit."""

MIN_ROUNDS = 3
"""Fewer Rounds have no interval."""

TRIM_FROM = 5
"""From so many Rounds on the lowest and the highest fifth are left out of the centre."""


class ReadingCode(enum.StrEnum):
    """Doubts that show when the rows of a folder are read together."""

    TOO_FEW_ROUNDS = "too-few-rounds"
    ROUNDS_MISSING = "rounds-missing"
    STACK_MISSING = "stack-missing"
    GENERATOR_LIMIT = "generator-limit"


READING_WORDS: dict[str, Wording] = {
    ReadingCode.TOO_FEW_ROUNDS: Wording(
        f"fewer than {MIN_ROUNDS} Rounds have this figure",
        "no interval can be given: chance and difference cannot be told apart",
        f"take more Rounds: {TRIM_FROM} or more also tolerate one outlier",
    ),
    ReadingCode.ROUNDS_MISSING: Wording(
        "fewer Rounds are here than were planned",
        "the time was over, or Runs broke; whatever broke them may be at work in these figures too",
        "see the Warnings of the broken Runs, if there are any; go on with a folder by "
        "`bench --resume`",
        short="the time was over, or Runs broke; what broke them may be at work here, too",
    ),
    ReadingCode.STACK_MISSING: Wording(
        "planned, but not one Run of it has a figure",
        "there is nothing to show for it here",
        "see the Warnings of its Runs, log.txt, or `left_out` in environment.json",
    ),
    ReadingCode.GENERATOR_LIMIT: Wording(
        f"throughput comes within {1 - GENERATOR_LIMIT:.0%} of the trivial responder's in the same "
        "scenario",
        "the generator, or the scenario itself, was the limit, not the server: a faster server "
        "would not show here",
        "read CPU per request instead, or choose a scenario with more work a request",
        LOAD_TIMES,
        disqualifies=True,
        short="generator or scenario was the limit; a faster server would not show",
    ),
}
