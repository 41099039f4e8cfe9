"""Requests and answers too large for CASES, which every process holds in memory.

Only the harness and the tests import this. What a Case promises here it promises as the
small Cases of the same route do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.data_cases import (
    FETCHES,
    fetch_case,
    items_answer,
    items_request,
    stream_answer,
    stream_request,
    upload_case,
)
from loopbench.servers.contract.http import Case, Expected, Request

MIB = 1 << 20

DIGESTS = {
    MIB: "c26900899f78d9afd75dff460366c3ed9e32773a1d839eedc8e874afa7fbfc8f",
    64 * MIB: "d55ef21641e051735f4d10d42e9759743652a80feb13b3eb39d9aceaaed5365f",
}
"""SHA-256 of `exchange.filling` by its size: 64 MiB take too long to be worked out each time."""

ITEMS_1M = 15_600
"""Items whose JSON is about a MiB; that of 16 is a KiB, and that of 1,000 about 64."""


class LateCase(Case):
    """A Case whose answer is made when it is first asked for.

    An answer of some MiB takes tens of milliseconds, and most commands only name the Case.
    """

    __slots__ = ("_answer",)
    _answer: Callable[[], Expected]

    def __init__(self, name: str, request: Request, answer: Callable[[], Expected]) -> None:
        for attribute, value in (("name", name), ("request", request), ("_answer", cache(answer))):
            object.__setattr__(self, attribute, value)  # a Case is frozen

    @property
    def expected(self) -> Expected:
        """The answer that the contract demands."""
        return self._answer()

    def __eq__(self, other: object) -> bool:
        """It is equal to the same Case with its answer made, as a message carries it."""
        if not isinstance(other, Case):
            return NotImplemented
        return (self.name, self.request, self.expected) == (
            other.name,
            other.request,
            other.expected,
        )

    __hash__ = Case.__hash__


@cache
def large() -> dict[str, Case]:
    """The Cases by name; made when they are first asked for."""
    cases = (
        LateCase("items-1m", items_request(ITEMS_1M), partial(items_answer, ITEMS_1M)),
        *(
            LateCase(
                f"stream-{chunks}x{size}",
                stream_request(chunks, size),
                partial(stream_answer, chunks, size),
            )
            for chunks, size in ((100, 1024), (128, 65_536))
        ),
        upload_case("upload-1m", MIB, DIGESTS[MIB]),
        upload_case("upload-multipart-1m", MIB, DIGESTS[MIB], multipart=True),
        upload_case("upload-64m", 64 * MIB, DIGESTS[64 * MIB]),
        *(fetch_case(how, 50) for how in FETCHES),
    )
    return {case.name: case for case in cases}


def case_of(name: str) -> Case:
    """A Case of the contract, or a large one of the same routes. Raises KeyError."""
    return CASES[name] if name in CASES else large()[name]
