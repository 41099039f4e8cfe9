"""On which thread, and on which loop, code runs: routes, hooks, plain functions."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import socket
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any

from aiohttp import web
from quart import Quart
from quart.utils import run_sync

from loopbench.loadtests.behaviour.framework.experiment import Variants, experiment, variants
from loopbench.loadtests.behaviour.framework.question import DEFAULT, Answer
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire, get
from loopbench.loadtests.behaviour.framework.servers import App, Live, serve
from loopbench.loadtests.behaviour.order.layers import shake_hands
from loopbench.loadtests.behaviour.starting.ports import get as get_when_ready

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"


@dataclass(frozen=True, slots=True)
class Place:
    """loop: the one that runs on the thread, None where none does."""

    thread: threading.Thread
    loop: asyncio.AbstractEventLoop | None

    def on(self, server: Live) -> str:
        """In words, as seen from a server."""
        return f"{self._thread(server.thread)}, {self._loop(server.loop)}"

    def _thread(self, serving: threading.Thread) -> str:
        if self.thread is serving:
            return "the loop's thread"
        return "main thread" if self.thread is threading.main_thread() else "worker thread"

    def _loop(self, serving: asyncio.AbstractEventLoop) -> str:
        if self.loop is None:
            return "no running loop"
        return "on the server's loop" if self.loop is serving else "on a loop of its own"


def here() -> Place:
    """Where this is called."""
    loop = None
    with suppress(RuntimeError):
        loop = asyncio.get_running_loop()
    return Place(threading.current_thread(), loop)


class Places:
    """Where something was called, in order; any thread may add to it."""

    def __init__(self) -> None:
        self.seen: list[Place] = []

    def note(self) -> None:
        """It is called here."""
        self.seen.append(here())

    def answer(self, server: Live) -> Answer:
        """Where it ran. Raises LookupError where it never did."""
        if not self.seen:
            raise LookupError("it was never called")
        words = dict.fromkeys(place.on(server) for place in self.seen)
        threads = dict.fromkeys(place.thread.name for place in self.seen)
        return Answer(
            " and ".join(words),
            f"called {_times(len(self.seen))}, on thread {' and '.join(map(repr, threads))}; the "
            f"server's loop runs in thread {server.thread.name!r}",
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


PORTS = range(20_000, 32_000)
"""Below those that Linux and macOS give out by themselves, so that no other experiment that
runs meanwhile is given one of them."""


def port_aside() -> int:
    """One of PORTS that nobody listens on. Raises OSError where none can be had."""
    for port in random.sample(PORTS, 20):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError as error:
            taken = error
    raise taken


Plain = Callable[[], None]
Way = Callable[[Plain], Awaitable[None]]
"""How an async route has plain code run."""


async def called(plain: Plain) -> None:
    plain()


async def to_thread(plain: Plain) -> None:
    await asyncio.to_thread(plain)


async def in_executor(plain: Plain) -> None:
    await asyncio.get_running_loop().run_in_executor(None, plain)


async def through_run_sync(plain: Plain) -> None:
    await run_sync(plain)()


def aiohttp_calling(way: Way, plain: Plain) -> web.Application:
    async def handler(_: web.Request) -> web.Response:
        await way(plain)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return app


def quart_calling(way: Way, plain: Plain) -> Quart:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        await way(plain)
        return ""

    return app


def quart_sync(plain: Plain) -> Quart:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        plain()
        return ""

    return app


WAYS: dict[str, Way] = {
    "called directly": called,
    "await asyncio.to_thread": to_thread,
    "await loop.run_in_executor": in_executor,
}

ROUTES: Variants = {
    AIOHTTP: {"AppRunner, in a loop in a thread": partial(aiohttp_calling, called)},
    QUART: {"hypercorn.asyncio.serve, in a loop in a thread": partial(quart_calling, called)},
}
SYNC_ROUTES: Variants = {
    AIOHTTP: {"through run_in_executor": partial(aiohttp_calling, in_executor)},
    QUART: {DEFAULT: quart_sync},
}
CALLED: Variants = {
    AIOHTTP: {name: partial(aiohttp_calling, way) for name, way in WAYS.items()},
    QUART: {
        name: partial(quart_calling, way)
        for name, way in (WAYS | {"await quart.utils.run_sync": through_run_sync}).items()
    },
}


@variants("async-route", ROUTES)
@variants("sync-route", SYNC_ROUTES)
@variants("sync-code-in-async-route", CALLED)
def ask_place(application: Callable[[Plain], App]) -> Answer:
    places = Places()
    with serve(application(places.note)) as server:
        get(server.port, "/")
        return places.answer(server)


@experiment("sync-route", QUART, "a WebSocket's")
def ask_sync_websocket() -> Answer:
    """A plain function registered for a WebSocket, which it can neither read nor write."""
    places, app = Places(), Quart(__name__)

    @app.websocket("/")
    def handler() -> None:
        places.note()

    with serve(app) as server:
        with Wire(server.port) as wire:
            shake_hands(wire, "/")
        return places.answer(server)


@experiment("async-route", AIOHTTP, "web.run_app")
def run_app() -> Answer:
    places, started = Places(), Places()

    async def start(_: web.Application) -> None:
        started.note()

    app = aiohttp_calling(called, places.note)
    app.on_startup.append(start)
    return in_the_runner(lambda port: web.run_app(app, port=port, print=None), started, places)


@experiment("async-route", QUART, "app.run")
def quart_run() -> Answer:
    places, started = Places(), Places()
    app = quart_calling(called, places.note)

    @app.before_serving
    async def start() -> None:
        started.note()

    return in_the_runner(lambda port: app.run(port=port), started, places)


def in_the_runner(run: Callable[[int], None], started: Places, places: Places) -> Answer:
    """Run the all-in-one runner where a program runs it: in the main thread.

    started: where the start-up hook ran, which is where the application's loop is.
    """
    port = port_aside()

    def client() -> None:
        get_when_ready(port, 15.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=client).start()
    run(port)
    (place,), (start,) = places.seen, started.seen
    where = "main thread" if place.thread is threading.main_thread() else "another thread"
    loop = "on the server's loop" if place.loop is start.loop else "on another loop"
    return Answer(
        f"{where}, {loop}",
        f"it ran on thread {place.thread.name!r}, {loop}; the start-up hook on thread "
        f"{start.thread.name!r}",
    )


def on_startup(app: web.Application, places: Places) -> None:
    def noting(_: web.Application) -> Any:
        places.note()

    app.on_startup.append(noting)


def on_response_prepare(app: web.Application, places: Places) -> None:
    def noting(*_: Any) -> Any:
        places.note()

    app.on_response_prepare.append(noting)


def plain_middleware(app: web.Application, places: Places) -> None:
    """It hands on what the handler gives it: a coroutine, for aiohttp to await."""

    @web.middleware
    def watching(request: web.Request, handler: Any) -> Any:
        places.note()
        return handler(request)

    app.middlewares.append(watching)


def before_serving(app: Quart, places: Places) -> None:
    app.before_serving(places.note)


def before_request(app: Quart, places: Places) -> None:
    app.before_request(places.note)


def after_request(app: Quart, places: Places) -> None:
    @app.after_request
    def noting(response: Any) -> Any:
        places.note()
        return response


def teardown_request(app: Quart, places: Places) -> None:
    app.teardown_request(lambda _: places.note())


def error_handler(app: Quart, places: Places) -> None:
    @app.errorhandler(404)
    def noting(_: Exception) -> tuple[str, int]:
        places.note()
        return "not there", 404


def background_task(app: Quart, places: Places) -> None:
    @app.before_request
    async def begin() -> None:
        app.add_background_task(places.note)


def generator(app: Quart, places: Places) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            places.note()
            yield b"piece"

    @app.get("/stream")
    async def stream() -> Iterator[bytes]:
        return pieces()


def aiohttp_hooked(add: Callable[[Any, Places], None], places: Places) -> web.Application:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    add(app, places)
    return app


def quart_hooked(add: Callable[[Any, Places], None], places: Places) -> Quart:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        return ""

    add(app, places)
    return app


HOOKS: Variants = {
    AIOHTTP: {
        "on_startup": (on_startup, "/"),
        "on_response_prepare": (on_response_prepare, "/"),
        "a middleware that returns handler(request)": (plain_middleware, "/"),
    },
    QUART: {
        "before_serving": (before_serving, "/"),
        "before_request": (before_request, "/"),
        "after_request": (after_request, "/"),
        "teardown_request": (teardown_request, "/"),
        "errorhandler": (error_handler, "/missing"),
        "add_background_task": (background_task, "/"),
        "pieces of a generator that a route returns": (generator, "/stream"),
    },
}


@variants("sync-hooks", {AIOHTTP: HOOKS[AIOHTTP]}, aiohttp_hooked)
@variants("sync-hooks", {QUART: HOOKS[QUART]}, quart_hooked)
def ask_hook(hook: tuple[Callable[[Any, Places], None], str], hooked: Callable[..., App]) -> Answer:
    """Have it called, and see where it was and what became of the answer."""
    add, target = hook
    places = Places()
    try:
        with serve(hooked(add, places)) as server:
            try:
                got = str(get(server.port, target).status)
            except NoAnswer:
                got = "no answer"
            server.stop()  # background tasks are waited for
            ran = places.answer(server)
    except TypeError as error:
        return Answer("the application does not start", f"starting it raised TypeError: {error}")
    spoilt = "" if got in ("200", "404") else f", the client gets {got}"
    return Answer(ran.answer + spoilt, f"{ran.evidence}; the client got {got}")


Work = Callable[[], Any]
"""What the handler does: it notes where, and returns an answer of the framework."""

Make = Callable[[Work], Callable[..., Any]]


def plain_function(work: Work) -> Callable[..., Any]:
    def handler(*_: Any) -> Any:
        return work()

    return handler


def async_function(work: Work) -> Callable[..., Any]:
    async def handler(*_: Any) -> Any:
        return work()

    return handler


def plain_decorator(work: Work) -> Callable[..., Any]:
    """The wrapper forgot its `async` and its `await`: it hands on a coroutine."""
    handler = async_function(work)

    @wraps(handler)
    def wrapper(*args: Any) -> Any:
        return handler(*args)

    return wrapper


def partial_of_async(work: Work) -> Callable[..., Any]:
    return partial(async_function(work))


class AsyncCallable:
    """An object with an `async def __call__`."""

    __name__ = "handler"

    def __init__(self, work: Work) -> None:
        self._work = work

    async def __call__(self, *_: Any) -> Any:
        return self._work()


def aiohttp_handler(make: Make, places: Places) -> web.Application:
    def work() -> web.Response:
        places.note()
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", make(work))
    return app


def quart_handler(make: Make, places: Places) -> Quart:
    def work() -> str:
        places.note()
        return "hello"

    app = Quart(__name__)
    app.add_url_rule("/", "handler", make(work))
    return app


HANDLERS: dict[str, Make] = {
    DEFAULT: plain_function,
    "a plain wrapper around an async function": plain_decorator,
    "functools.partial of an async function": partial_of_async,
    "an object with an async __call__": AsyncCallable,
}
RAN = {
    "the loop's thread, on the server's loop": "runs on the loop",
    "worker thread, no running loop": "runs in a worker thread",
}


@variants("plain-function-handler", {AIOHTTP: HANDLERS}, aiohttp_handler)
@variants("plain-function-handler", {QUART: HANDLERS}, quart_handler)
def ask_handler(make: Make, application: Callable[[Make, Places], App]) -> Answer:
    """Register it, note what is said, and ask for it."""
    places = Places()
    with warnings.catch_warnings(record=True, action="always") as said:
        try:
            app = application(make, places)
        except Exception as error:
            return Answer(f"refused with {type(error).__name__}", f"registering raised {error}")
        at_first = len(said)
        with serve(app) as server:
            status = get(server.port, "/").status
            ran = RAN[places.seen[0].on(server)] if places.seen else "never runs"
        gc.collect()  # what was never awaited says so when it goes
    later = f", and warns with {kinds}" if (kinds := _kinds(said[at_first:])) else ""
    first = f"warns with {kinds}" if (kinds := _kinds(said[:at_first])) else "without a warning"
    words = dict.fromkeys(f"{one.category.__name__}: {one.message}" for one in said)
    threads = dict.fromkeys(place.thread.name for place in places.seen)
    return Answer(
        f"registered {first}, {ran}, answered {status}{later}",
        f"it ran on thread {', '.join(map(repr, threads)) or 'none'}; the answer was {status}; "
        f"said: {'; '.join(words) or 'nothing'}",
    )


def _kinds(said: list[warnings.WarningMessage]) -> str:
    return " and ".join(dict.fromkeys(one.category.__name__ for one in said))


Getter = Callable[[], asyncio.AbstractEventLoop]


@dataclass(slots=True)
class Found:
    """What the call gave. running: whether the loop ran then. said: its warnings."""

    loop: asyncio.AbstractEventLoop | None = None
    running: bool = False
    error: str = ""
    said: list[str] = field(default_factory=list)

    def look(self, getter: Getter) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self.loop = getter()
                self.running = self.loop.is_running()
            except RuntimeError as error:
                self.error = str(error)
        self.said = [f"{one.category.__name__}: {one.message}" for one in caught]


GETTERS: dict[str, Getter] = {
    "asyncio.get_event_loop()": asyncio.get_event_loop,
    "asyncio.get_running_loop()": asyncio.get_running_loop,
}
LOOKING: tuple[tuple[str, str, Callable[[Plain], App]], ...] = (
    (AIOHTTP, "through asyncio.to_thread", partial(aiohttp_calling, to_thread)),
    (AIOHTTP, "in a handler", partial(aiohttp_calling, called)),
    (QUART, "in a sync route", quart_sync),
    (QUART, "in an async route", partial(quart_calling, called)),
)


def ask_loop(application: Callable[[Plain], App], getter: Getter) -> Answer:
    found = Found()
    with serve(application(partial(found.look, getter))) as server:
        get(server.port, "/")
        same = found.loop is server.loop
    said = "; ".join(found.said) or "without a warning"
    if found.loop is None:
        return Answer("raises RuntimeError", f"raised {found.error!r}, {said}")
    running = "runs" if found.running else "does not run"
    what = "the server's loop" if same else "another loop"
    return Answer(f"gives {what}", f"gave {what}, which {running}, {said}")


for stack, where, application in LOOKING:
    for name, getter in GETTERS.items():
        experiment("get-event-loop", stack, f"{name} {where}", application, getter)(ask_loop)
