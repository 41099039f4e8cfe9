"""What other commands than a bench put into a results folder beside it."""

from __future__ import annotations

from results.schema.columns import Column, Kind, Table, count, number, text

PROBE_COST = Table(
    "probe_cost",
    "What the probe costs, counted under callgrind: a row a stack. Written by `loadtests "
    "probe-cost --out DIR`, which is not part of a bench.",
    (
        text("stack", "whose `/async` route was asked", required=True),
        count("requests", "requests in one count", required=True),
        count("repeats", "counts with the probe off, and as many with it on", required=True),
        number("off_instructions", "1", "user-space instructions a request, probe off, median"),
        number("on_instructions", "1", "the same with the probe on, its timer excluded"),
        number("spread", "1", "the wider range of the counts, as a share of the least"),
        Column("share", Kind.NUMBER, "1", "what the probe adds to a request, as a share"),
        number("beat_instructions", "1", "instructions of one beat of the probe's timer"),
    ),
)

COUNTS = Table(
    "counts",
    "Instructions of a request, counted under callgrind: a row a stack and case. Written by "
    "`loadtests instructions --out DIR`.",
    (
        text("stack", "what was asked", required=True),
        text("case", "name of the contract's case", required=True),
        count("requests", "requests in one count", required=True),
        count("repeats", "how often it was counted", required=True),
        number("instructions", "1", "user-space instructions a request, median", required=True),
        number("spread", "1", "range of the counts, as a share of the least", required=True),
    ),
)

BEHAVIOUR = Table(
    "behaviour",
    "What each stack was seen to do: a row a question, stack, setting and Python. Written by "
    "`make behaviour`.",
    (
        text("question", "topic and name of the question", required=True),
        text("topic", "what the question belongs to, in words", required=True),
        text("asks", "the question, as a sentence", required=True),
        text("stack", "which stack was asked", required=True),
        text(
            "setting",
            "`default`, or what was different from it, as one would write it in code",
            required=True,
        ),
        text(
            "answer",
            "a short stable word, phrase or number with its unit; `none`: the stack has no "
            "counterpart; `not answered`: the experiment was cut or failed",
            required=True,
        ),
        text("evidence", "what was seen in this very run", required=True),
        text("commonly_said", "the claim about this stack, where there is one"),
        text("agrees", "whether the answer bears the claim out: yes, no or partly"),
        text("follows", "what follows from the answer for one's code"),
        Column("varies", Kind.BOOLEAN, "", "the answer is not stable, and gives a range", True),
        number("took_s", "s", "how long the experiment took", required=True),
        text("versions", "the packages that were asked, with their versions", required=True),
        text("python", "version of the interpreter", required=True),
    ),
)
