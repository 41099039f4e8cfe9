"""Start and stop servers in the running event loop, as many side by side as wanted.

Nothing here touches what belongs to the loop's owner: its default executor,
its signal handlers, its exception handler.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from loopbench.servers import stacks, starting
from loopbench.servers.adapters.protocol import InForce, Serving
from loopbench.servers.contract.http import Expected, Request
from loopbench.servers.custom.remedies import remedy
from loopbench.servers.custom.traceback_text import named, place
from loopbench.servers.errors import PortInUse, ServerError, StartupFailed
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack

_TURNS_OF_AN_ACCEPT = 5


class Server:
    """A live Stack in this loop. Made by `start`; it has answered a request when you get it.

    host: the numeric address that is bound.
    """

    __slots__ = ("_serving", "_stopping", "host", "stack")

    def __init__(self, stack: Stack, host: str, serving: Serving) -> None:
        self.stack = stack
        self.host = host
        self._serving = serving
        self._stopping: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is bound, also where port 0 was asked for."""
        return self._serving.port

    @property
    def netloc(self) -> str:
        """Address and port, as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """Where it accepts connections, without a slash at the end."""
        return f"http://{self.netloc}"

    def in_force(self) -> InForce:
        """The settings as the live server has them, see `adapters.protocol.Serving.in_force`."""
        return self._serving.in_force()

    async def ended(self) -> None:
        """Return when the server has ended, whoever ended it; raise what made it end."""
        await self._serving.ended()

    async def stop(self) -> None:
        """Stop gracefully: requests in flight get the settings' `grace_s`, then are ended.

        Calling it again, at the same time or later, waits for the same stop.
        A caller that is cancelled does not cut the stop short.
        """
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._serving.stop())
        await asyncio.shield(self._stopping)


async def start(
    name: str | Stack, *, host: str = "127.0.0.1", port: int = 0, settings: Settings = Settings()
) -> Server:
    """Start the stack `name`; returns once it has answered `GET /plain` over a connection, or
    whatever a person's own application is asked for instead.

    host: an address or a name, of which the first address is taken.
    port: 0 picks a free one.

    Raises UnknownStack, PortInUse and StartupFailed; none of them, nor a
    cancellation, leaves a listener or a task behind.
    """
    stack = stacks.find(name)
    begin = starting.load(stack)
    address = await numeric(host)
    try:
        _try_address(address)
        serving = await begin(address, port, settings)
    except ServerError:
        raise
    except OSError as error:
        raise os_failure(stack, address, port, error) from error
    except (Exception, SystemExit) as error:  # out of a task the latter would end the loop
        raise _failure(stack, error) from error
    server = Server(stack, address, serving)
    try:
        await _first_answer(server)
    except BaseException:
        # asyncio loses a connection that is being accepted in the very turn in
        # which the listener is closed: let it first accept what has come.
        for _ in range(_TURNS_OF_AN_ACCEPT):
            await asyncio.sleep(0)
        await server.stop()
        raise
    return server


@asynccontextmanager
async def serving(
    name: str, *, host: str = "127.0.0.1", port: int = 0, settings: Settings = Settings()
) -> AsyncIterator[Server]:
    """`start` on the way in, a graceful stop on the way out."""
    server = await start(name, host=host, port=port, settings=settings)
    try:
        yield server
    finally:
        await server.stop()


async def numeric(host: str) -> str:
    """One numeric address for `host`, so that every stack binds the same single one.

    Raises ServerError for a name that no address belongs to.
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        addresses = await asyncio.get_running_loop().getaddrinfo(
            host, None, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError) as error:
        raise ServerError(
            f"cannot resolve host {host!r}; name an address of this machine"
        ) from error
    return str(addresses[0][4][0])


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _try_address(address: str) -> None:
    """Raise OSError for an address of another machine; asyncio's own error has no errno."""
    with socket.socket(_family(address), socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))


def os_failure(stack: Stack, host: str, port: int, error: OSError) -> ServerError:
    """What a listener that cannot be had is to a person: cause and remedy."""
    where = f"{host} port {port}"
    if error.errno == errno.EADDRINUSE:
        return PortInUse(f"{where} is in use; stop what listens there, or take another port or 0")
    if error.errno == errno.EACCES:
        return StartupFailed(f"not allowed to bind {where}; take a port above 1023")
    if error.errno == errno.EADDRNOTAVAIL:
        return StartupFailed(f"{host} is no address of this machine; take one that is")
    return _failure(stack, error)


def _failure(stack: Stack, error: BaseException) -> StartupFailed:
    where = "" if stack.own is None else place(error, stack.own.folder)
    printed = "" if stack.own is None else _printed(error)
    unknown = "correct that first" if where else "the traceback of the cause shows where"
    return StartupFailed(
        f"{stack.name} failed to start: {named(error)}{where}; {remedy(error) or unknown}{printed}"
    )


def _printed(error: BaseException) -> str:
    # It came with a person's own application, before their code, and with nothing else.
    from loopbench.servers.custom.own_output import last_line_before

    return last_line_before(error)


async def _first_answer(server: Server) -> None:
    """Return when a request was answered as the contract says; the server may end instead."""
    greeting = starting.greeting(server.stack)
    if greeting is None:
        return
    request, expected = greeting
    bound_s = starting.first_answer_s(server.stack)
    asking = _in_task(_ask(server, request, expected))
    ending = _in_task(server.ended())
    try:
        await asyncio.wait({asking, ending}, timeout=bound_s, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            raise _failure(server.stack, ending.exception() or EOFError("it ended by itself"))
        if not asking.done():
            raise StartupFailed(
                f"{server.stack.name} did not answer {request.method} {request.target} on "
                f"{server.url} within {bound_s:g} s; {starting.longer(server.stack)}"
            )
        asking.result()
    finally:
        for task in (asking, ending):
            task.cancel()
        await asyncio.wait({asking, ending})


def _in_task(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(coroutine)


async def _ask(server: Server, request: Request, expected: Expected | None) -> None:
    loop = asyncio.get_running_loop()
    head = b""
    # A plain socket: a stream whose opening is cancelled may stay open.
    with socket.socket(_family(server.host), socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            await loop.sock_connect(client, (server.host, server.port))
            await loop.sock_sendall(client, request.encode(server.netloc))
            while b"\r\n\r\n" not in head:
                received = await loop.sock_recv(client, 65536)
                if not received:
                    raise EOFError("it closed a connection without an answer")
                head += received
        except (OSError, EOFError) as error:
            raise _failure(server.stack, error) from error
    status = head.split(b" ", 2)[1]
    if expected is not None and status != str(expected.status).encode():
        raise StartupFailed(
            f"{server.stack.name} answered {request.target} with status {status.decode()} "
            f"on {server.url}; see its log"
        )
