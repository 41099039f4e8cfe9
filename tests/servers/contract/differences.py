"""What stays different between the frameworks' stacks, found by sending exact bytes.

`python -m tests.servers.contract.differences` writes docs/differences.md anew. What is
shown of an answer is its status, its kind of body and what becomes of the
connection: nothing that another run or another Python would show otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from loopbench.servers.contract.content import JSON
from loopbench.servers.lifecycle import in_loop
from loopbench.servers.lifecycle.in_loop import Server
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import CORE
from tests.servers.contract import wire
from tests.servers.contract.odd_requests import ODD_REQUESTS, OddRequest
from tests.servers.processes import held_up_s

T = TypeVar("T")

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "differences.md"

"""The stacks of the first tables, which show every request."""


@dataclass(frozen=True, slots=True)
class Family:
    """Stacks beside one of the core. Their table has the rows in which they are not all alike.

    Loops are no reason for a column: what is read and answered is the same code on each.
    """

    title: str
    text: str
    stacks: tuple[str, ...]


FAMILIES = (
    Family(
        "The same Quart application on other servers",
        "What differs in a row is the server's doing. Rows without a difference are left out.",
        ("quart-hypercorn", "quart-uvicorn", "quart-uvicorn-httptools", "quart-granian"),
    ),
    Family(
        "Flask, in threads",
        "Quart follows Flask's interface: what changes on the way. Rows alike are left out.",
        ("quart-hypercorn", "flask-gthread", "flask-waitress"),
    ),
)

COMPARED = tuple(dict.fromkeys((*CORE, *(name for one in FAMILIES for name in one.stacks))))
"""The stacks that are asked. One without a framework is not to be chosen by anyone."""

QUIET_S = 2.0
"""How long a server must be silent to count as one that waits for more. All run in this process:
while it computes, or waits for a CPU, none of them is taken to be silent. On a busy machine half of
it is enough within twice the time: gunicorn closes a connection five seconds after an answer whose
request is not whole, whatever the machine does."""

_LOOK_S = 0.2

AT_ONCE = 8
"""How many requests are tried at the same time."""

_FOLLOWING = b"GET /query?following HTTP/1.1\r\nHost: localhost\r\n\r\n"
_FOLLOWING_BODY = b'{"query":{"following":[""]}}'

_TCP_INFO_DATA_SEGS_IN = 152
"""Where Linux has the number of segments with data in struct tcp_info (<linux/tcp.h>)."""


@dataclass(frozen=True, slots=True)
class Habit:
    """How a stack writes an ordinary answer. `platform`: where alone it can be seen.
    `core`: shown of the core stacks only, as it is not the same each time on others."""

    name: str
    see: Callable[[Server], Awaitable[str]]
    platform: str = ""
    core: bool = False


async def _status_line(server: Server) -> str:
    reply = await wire.get(server, "/plain")
    return f"`{reply.head.splitlines()[0].decode()}`"


async def _header_names(server: Server) -> str:
    reply = await wire.get(server, "/plain")
    lines = reply.head.decode("latin-1").splitlines()[1:-1]
    return ", ".join(f"`{line.partition(':')[0]}`" for line in lines)


async def _segments(server: Server) -> str:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"GET /plain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    await reader.read()
    connection = writer.get_extra_info("socket")
    info = connection.getsockopt(6, 11, 256)  # IPPROTO_TCP, TCP_INFO
    writer.close()
    await writer.wait_closed()
    (segments,) = struct.unpack_from("I", info, _TCP_INFO_DATA_SEGS_IN)
    return str(segments)


HABITS: tuple[Habit, ...] = (
    Habit("The status line of a 200", _status_line),
    Habit("The names of the headers of `GET /plain`, in their order", _header_names),
    # A thread of granian's writes, and the kernel joins what it meets in time.
    Habit("TCP segments that carry the answer to `GET /plain`", _segments, "linux", core=True),
)


async def observe(server: Server, odd: OddRequest) -> str:
    """What `server` makes of the bytes, in words for the table."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        writer.write(odd.sent)
        if odd.ends:
            writer.write_eof()
        seen = await _answers(reader, writer, odd)
    finally:
        writer.transport.abort()
    return ", ".join(seen)


async def _answers(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, odd: OddRequest
) -> list[str]:
    """Each answer in words, and last what becomes of the connection.

    After the first final answer an ordinary request follows; its answer says
    that the connection stays open.
    """
    seen: list[str] = []
    followed = odd.ends
    while True:
        try:
            reply = await _unless_silent(_answer(reader, to_head=odd.to_head and not seen))
        except TimeoutError:
            return [*seen, "then waits" if seen else "waits"]
        except (asyncio.IncompleteReadError, ConnectionError):
            return [*seen, "then closes" if seen else "closes without an answer"]
        if reply is None:
            return [*seen, "then HTTP/2" if seen else "HTTP/2"]
        if reply.body == _FOLLOWING_BODY:
            return [*seen, "stays open"]
        seen.append(_words(reply, odd))
        if reply.status >= 200 and not followed:
            followed = True
            writer.write(_FOLLOWING)


async def _answer(reader: asyncio.StreamReader, *, to_head: bool) -> wire.Reply | None:
    """None for one that is no HTTP/1. Head and body at once: where the connection breaks while
    the rest of a request is sent, asyncio hands out nothing more of what has come."""
    version = await reader.readexactly(5)
    if version != b"HTTP/":
        return None
    reply = wire.parse(version + await reader.readuntil(b"\r\n\r\n"))
    return reply if to_head else replace(reply, body=await wire.body_of(reply, reader))


async def _unless_silent(reading: Coroutine[Any, Any, T]) -> T:
    """What is read. Raises TimeoutError where nothing comes for QUIET_S."""
    task = asyncio.create_task(reading)
    silent_s, since_s = 0.0, time.perf_counter()
    try:
        while silent_s < QUIET_S:
            if silent_s >= QUIET_S / 2 and time.perf_counter() - since_s >= 2 * QUIET_S:
                break
            began_s, busy_s = time.perf_counter(), _busy_s()
            done, _ = await asyncio.wait({task}, timeout=_LOOK_S)
            if done:
                return task.result()
            silent_s += max(0.0, time.perf_counter() - began_s - (_busy_s() - busy_s))
        raise TimeoutError
    finally:
        task.cancel()
        await asyncio.wait({task})


def _busy_s() -> float:
    """What this process has computed and waited for a CPU so far."""
    return time.process_time() + held_up_s(os.getpid())


def _words(reply: wire.Reply, odd: OddRequest) -> str:
    """The status, and the body where it is told by the request, or of another kind."""
    if reply.status == 200 and odd.shows_body:
        return f"200 `{reply.body.decode()}`"
    if reply.status >= 400 and reply.header("content-type") != JSON and not odd.to_head:
        return f"{reply.status} without JSON"
    return str(reply.status)


Rows = dict[str, dict[str, str]]
"""The cells of each row by its name: by stack, in the order of those that were asked."""


async def _observe_all(servers: dict[str, Server]) -> Rows:
    turns = asyncio.Semaphore(AT_ONCE)

    async def cell(server: Server, odd: OddRequest) -> str:
        async with turns:
            return await observe(server, odd)

    async def cells(odd: OddRequest) -> dict[str, str]:
        found = await asyncio.gather(*(cell(server, odd) for server in servers.values()))
        return dict(zip(servers, found, strict=True))

    found = await asyncio.gather(*(cells(odd) for odd in ODD_REQUESTS))
    return {odd.name: row for odd, row in zip(ODD_REQUESTS, found, strict=True)}


async def see_all(names: tuple[str, ...] = COMPARED) -> tuple[Rows, Rows]:
    """The rows of the odd requests and of the habits, of servers started for this."""
    async with AsyncExitStack() as stack:
        servers = {
            name: await stack.enter_async_context(
                in_loop.serving(name, settings=Settings(wait_ms=0, grace_s=0.5))
            )
            for name in names
        }
        requests = await _observe_all(servers)
        habits = {
            habit.name: {name: await habit.see(server) for name, server in servers.items()}
            for habit in HABITS
            if sys.platform.startswith(habit.platform)
        }
    return requests, habits


def row(name: str, cells: Iterable[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join([name, *(cell.replace("|", "\\|") for cell in cells)]) + " |"


_INTRODUCTION = """\
# What stays different

<!-- Written by `python -m tests.servers.contract.differences`; a test compares the two. -->

The stacks keep one contract: where a route, a setting or an error could be made
equal, it is, and the conformance test holds every stack to it. What no setting
makes equal is below; "Odd, and yet alike" has requests that one might expect
there. Each row was seen by sending exactly those bytes to a running server. The two
last sections have the other servers, and only the rows in which they differ.

"Stays open" means that an ordinary request on the same connection was answered
next. "Without JSON" means that the server, and not the application, wrote the
answer, so that its body is not the contract's. "Waits" means that the server
said nothing for two seconds, since it expects more to come.
"""


def core_row(name: str, cells: dict[str, str]) -> str:
    """A line of the first tables."""
    return row(name, (cells[stack] for stack in CORE))


def _table(corner: str, stacks: tuple[str, ...], rows: Rows) -> list[str]:
    return [
        row(corner, stacks),
        row("---", ("---",) * len(stacks)),
        *(row(name, (cells[stack] for stack in stacks)) for name, cells in rows.items()),
        "",
    ]


def render_core(requests: Rows, habits: Rows) -> str:
    """The first part of the document."""
    lines = [_INTRODUCTION]
    for group in dict.fromkeys(odd.group for odd in ODD_REQUESTS):
        rows = {odd.name: requests[odd.name] for odd in ODD_REQUESTS if odd.group == group}
        lines += [f"## {group}", "", *_table("request", CORE, rows)]
    lines += ["## How an ordinary answer is written", "", *_table("", CORE, habits)]
    return "\n".join(lines)


def render(requests: Rows, habits: Rows) -> str:
    """The whole document."""
    lines = [render_core(requests, habits)]
    asked = {odd.name: requests[odd.name] for odd in ODD_REQUESTS if not odd.core}
    seen = {habit.name: habits[habit.name] for habit in HABITS if not habit.core}
    for family in FAMILIES:
        apart = {
            name: cells
            for name, cells in (asked | seen).items()
            if len({cells[stack] for stack in family.stacks}) > 1
        }
        lines += [f"## {family.title}", "", family.text, "", *_table("", family.stacks, apart)]
    return "\n".join(lines).rstrip("\n") + "\n"


def main() -> int:
    """Write the document. Returns the exit status."""
    if sys.platform != "linux":
        print("docs/differences.md is written on Linux, where all of it can be seen")
        return 1
    logging.disable(logging.CRITICAL)  # the requests that fail are meant to
    DOCUMENT.write_text(render(*asyncio.run(see_all())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
