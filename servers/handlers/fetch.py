"""A handler that is itself a client: `/fetch` gets pages of another server."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from loopbench.servers.contract.content import (
    JSON,
    dumps,
)
from loopbench.servers.contract.limits import PAGES_LIMIT
from loopbench.servers.handlers.basic import Answer, Refused
from loopbench.servers.handlers.data import number

if TYPE_CHECKING:
    from aiohttp import ClientSession

PAGE = "/plain"
TIMEOUT_S = 10.0


class _OfThread(threading.local):
    connection: http.client.HTTPConnection | None = None


class Fetcher:
    """The clients of one application: a session for its life, a connection a thread.

    upstream: whose pages they get; None: of the server that was asked.
    """

    def __init__(self, upstream: str | None) -> None:
        self._upstream = upstream
        self._session: ClientSession | None = None
        self._of_thread = _OfThread()
        self._connections: list[http.client.HTTPConnection] = []
        self._ways: dict[str | None, Callable[[str, int], Awaitable[list[int]]]] = {
            "gather": self._gather,
            "sequence": self._sequence,
            "threads": self._threads,
        }

    async def fetch(self, count: str | None, how: str | None, own: tuple[str, int]) -> Answer:
        """Get `count` pages in the way that `how` names; its default is `gather`.

        own: address and port that the request itself came to.
        Raises Refused(400), and Refused(502) where the other server does not answer as it should.
        """
        pages, way = number(count, 1, PAGES_LIMIT), self._ways.get(how or "gather")
        if way is None:
            raise Refused(400)
        host = f"[{own[0]}]" if ":" in own[0] else own[0]
        try:
            sizes = await way(self._upstream or f"http://{host}:{own[1]}", pages)
        except (OSError, http.client.HTTPException) as error:
            raise Refused(502, f"upstream: {type(error).__name__}") from error
        return Answer(200, JSON, dumps({"pages": len(sizes), "bytes": sum(sizes)}))

    async def _gather(self, base: str, pages: int) -> list[int]:
        return await _all(self._page(base) for _ in range(pages))

    async def _sequence(self, base: str, pages: int) -> list[int]:
        return [await self._page(base) for _ in range(pages)]

    async def _threads(self, base: str, pages: int) -> list[int]:
        loop = asyncio.get_running_loop()
        calls = (loop.run_in_executor(None, self._page_in_thread, base) for _ in range(pages))
        return await _all(calls)

    async def _page(self, base: str) -> int:
        from aiohttp import ClientError  # only where it is asked for: see `_client`

        try:
            async with self._client().get(base + PAGE) as answer:
                return _checked(answer.status, await answer.read())
        except ClientError as error:
            raise http.client.HTTPException(str(error)) from error

    def _client(self) -> ClientSession:
        """The one session, made when it is first needed: it needs a running loop."""
        if self._session is None:
            # Not with this module: a server of another framework pays for it only here.
            from aiohttp import ClientSession, ClientTimeout, TCPConnector

            self._session = ClientSession(
                connector=TCPConnector(limit=0), timeout=ClientTimeout(TIMEOUT_S)
            )
        return self._session

    def _page_in_thread(self, base: str) -> int:
        """By this thread's connection; where the server has closed it meanwhile, by a new one."""
        connection = self._of_thread.connection
        if connection is None:
            address = urlsplit(base)
            connection = http.client.HTTPConnection(
                address.hostname or "", address.port, timeout=TIMEOUT_S
            )
            self._of_thread.connection = connection
            self._connections.append(connection)
        try:
            return _get(connection)
        except (http.client.RemoteDisconnected, ConnectionError):
            connection.close()
            return _get(connection)
        except BaseException:
            connection.close()
            raise

    async def close(self) -> None:
        """Close what is open."""
        for connection in self._connections:
            connection.close()
        if self._session is not None:
            await self._session.close()


async def _all(calls: Iterable[Awaitable[int]]) -> list[int]:
    """What all of them gave, once the last has ended; raises what the first that failed did."""
    got = await asyncio.gather(*calls, return_exceptions=True)
    for result in got:
        if isinstance(result, BaseException):
            raise result
    return [result for result in got if isinstance(result, int)]


def _get(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", PAGE)
    with connection.getresponse() as answer:
        return _checked(answer.status, answer.read())


def _checked(status: int, body: bytes) -> int:
    """The body's length. Raises HTTPException for an answer that is not the page."""
    if status != 200 or not body:
        raise http.client.HTTPException(f"status {status}")
    return len(body)
