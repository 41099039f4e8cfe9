"""The scenarios of data on its way: large answers, streams, uploads, and handlers that fetch."""

from __future__ import annotations

from loopbench.loadtests.scenarios.models import Closed, Load, Scenario, Slow
from loopbench.results.schema import Family, Role
from loopbench.servers.contract.large_cases import case_of

FETCHED_PAGES = (1, 10, 50)
SLOW_READERS = 50
"""Each asks for 8 MiB: what a server keeps for them cannot be overlooked."""

SLOW_BYTES_S = 65_536

SLICE_S = 0.3
"""Of those whose users have an answer each within some 30 ms, on the slower stack. Of a MiB of
JSON, or 64 MiB of a body, few end within a Slice: their Runs stay whole."""

_LARGE_ANSWERS = (
    ("json-1k", "items-16", 32, SLICE_S, "what encoding 1 KiB of JSON costs"),
    ("json-64k", "items-1000", 8, SLICE_S, "what encoding 64 KiB of JSON does to the loop"),
    ("json-1m", "items-1m", 4, None, "what encoding 1 MiB of JSON does to the loop"),
)
_UPLOADS = (
    ("upload-1k", "upload-1024", 32, SLICE_S, "what a body of 1 KiB costs"),
    ("upload-1m", "upload-1m", 4, SLICE_S, "how fast 1 MiB is read, and what it needs"),
    ("upload-64m", "upload-64m", 1, None, "the same of 64 MiB"),
    (
        "upload-multipart-1m",
        "upload-multipart-1m",
        4,
        SLICE_S,
        "the same of 1 MiB in a form's part",
    ),
)
"""The name of a Scenario, its Case, its users, the length of its Slices, and what it asks."""


def moving() -> tuple[Scenario, ...]:
    """Large answers, streams and uploads, in the order of the list."""
    answers = (_closed_loop(Family.LARGE_ANSWERS, *row) for row in _LARGE_ANSWERS)
    uploads = (_closed_loop(Family.UPLOADS, *row) for row in _UPLOADS)
    return (*answers, *_streams(), *uploads)


def _closed_loop(
    family: Family, name: str, case: str, users: int, slice_s: float | None, asks: str
) -> Scenario:
    load = Load("main", case_of(case), Closed(users))
    return Scenario(name, asks, (load,), slice_s=slice_s, family=family)


def _streams() -> tuple[Scenario, ...]:
    """Streams alone, and one of them beside clients that do not keep up."""
    small, large = case_of("stream-100x1024"), case_of("stream-128x65536")
    main = Load("main", small, Closed(8, first_byte=True))
    slow = {
        "slow": (SLOW_BYTES_S, f"who each read {SLOW_BYTES_S // 1024} KiB a second"),
        "stuck": (0, "who read nothing"),
    }
    alone = Scenario(
        "stream-100k",
        "when 100 chunks of 1 KiB begin to arrive, and end",
        (main,),
        family=Family.STREAMS,
    )
    return (
        alone,
        Scenario(
            "stream-8m",
            "when 128 chunks of 64 KiB begin to arrive, and how fast they are sent",
            (Load("main", large, Closed(4, first_byte=True)),),
            family=Family.STREAMS,
        ),
        *(
            Scenario(
                f"stream-{name}",
                f"what {SLOW_READERS} readers of 8 MiB {how} cost in memory, and do to others",
                (main, Load("slow", large, Slow(SLOW_READERS, rate), role=Role.BURDEN)),
                warmup_s=1.5,  # until the kernel's buffers of all of them are full
                after_s=1.0,
                family=Family.SLOW_READERS,
                variant=name,
                baseline=alone.name,
            )
            for name, (rate, how) in slow.items()
        ),
    )


def clients() -> tuple[Scenario, ...]:
    """Handlers that are clients themselves, of a server that is started beside."""
    how = {
        "gather": "all at once",
        "sequence": "one after another",
        "threads": "with a synchronous client in worker threads",
    }
    return tuple(
        Scenario(
            f"fetch-{name}-{pages}",
            f"how long it takes, and what it costs, to fetch {pages} of another's pages {text}",
            (Load("main", case_of(f"fetch-{name}-{pages}"), Closed(4)),),
            yardstick=False,
            upstream=True,
            family=Family.FETCH,
            variant=name,
            parameter=pages,
            parameter_name="pages",
        )
        for name, text in how.items()
        for pages in FETCHED_PAGES
    )
