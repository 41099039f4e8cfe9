"""On which thread, and on which loop, code runs: routes, hooks, plain functions."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial, wraps
from typing import Any

from aiohttp import web
from quart import Quart
from quart.utils import run_sync

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, Build, serve
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments, variants
from loopbench.loadtests.behaviour.framework.events import kinds, warned
from loopbench.loadtests.behaviour.starting.starts import get as get_when_ready
from loopbench.loadtests.behaviour.talking import NoAnswer, as_seen, get, reply_of, seen, upgraded
from loopbench.loadtests.services.free_port import free_port

CALLING, SYNC = apps.CALLING, apps.SYNC

Loop = asyncio.AbstractEventLoop


def note(*given: Any) -> Any:
    """It is called here, whatever it is given: report the thread, and the loop that runs on it, and
    hand on the last that is given. A server's loop runs in a thread that is called `loop`, which is
    not the main thread."""
    name = threading.current_thread().name
    thread = {"MainThread": "main thread", "loop": "the loop's thread"}.get(name, "worker thread")
    loop = "no running loop"
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        loop = "on the server's loop" if name == "loop" else "on a loop of its own"
    seen(f"{thread}, {loop}")
    return given[-1] if given else None


def places() -> str:
    """Where it was called, each place once."""
    return " and ".join(dict.fromkeys(seen.events))


def where_called() -> Answer:
    """Raises LookupError where it never was."""
    if not seen.events:
        raise LookupError("it was never called")
    return as_seen(places())


WAYS: dict[str, apps.Way] = {
    "called directly": apps.called,
    "await asyncio.to_thread": asyncio.to_thread,
    "await loop.run_in_executor": apps.in_executor,
}
QUARTS_WAYS = WAYS | {"await quart.utils.run_sync": lambda plain: run_sync(plain)()}


@experiment("async-route", AIOHTTP, "AppRunner, in a loop in a thread", CALLING[AIOHTTP])
@experiment("async-route", QUART, "hypercorn.asyncio.serve, in a loop in a thread", CALLING[QUART])
@experiment("sync-route", AIOHTTP, "through run_in_executor", CALLING[AIOHTTP], apps.in_executor)
@experiment("sync-route", QUART, DEFAULT, SYNC[QUART])
@experiments("sync-code-in-async-route", {AIOHTTP: CALLING[AIOHTTP]}, WAYS)
@experiments("sync-code-in-async-route", {QUART: CALLING[QUART]}, QUARTS_WAYS)
def ask_place(application: Build, *way: apps.Way) -> Answer:
    reply_of(application(note, *way))
    return where_called()


@experiment("sync-route", QUART, "a WebSocket's")
def ask_sync_websocket() -> Answer:
    """A plain function registered for a WebSocket, which it can neither read nor write."""
    app = Quart(__name__)
    app.add_websocket("/", "handler", note)
    with serve(app) as server:
        upgraded(server.port, "/")
    return where_called()


_STOPPED_BY_SIGNAL = 3
"""The exit status with which Quart's `run` ends as of 0.23."""


def app_run(app: Quart, port: int) -> None:
    try:
        app.run(port=port, use_reloader=False)  # which would start this command anew, as of 0.23
    except SystemExit as end:
        if end.code != _STOPPED_BY_SIGNAL:
            raise


@experiment(
    "async-route", AIOHTTP, "web.run_app", CALLING[AIOHTTP], partial(web.run_app, print=None)
)
@experiment("async-route", QUART, "app.run", CALLING[QUART], app_run)
def ask_runner(application: Build, run: Callable[..., None]) -> Answer:
    """Run the all-in-one runner where a program runs it: in the main thread. Its start-up hook
    runs where the application's loop is."""
    called_on: list[tuple[threading.Thread, Loop]] = []
    port = free_port()

    def look() -> None:
        called_on.append((threading.current_thread(), asyncio.get_running_loop()))

    def client() -> None:
        get_when_ready(port, 15.0)
        os.kill(os.getpid(), signal.SIGTERM)

    app = application(look)
    apps.at_start(app, apps.asynchronous(look))
    threading.Thread(target=client).start()
    run(app, port=port)
    (hook_thread, hook_loop), (thread, loop) = called_on
    where = "main thread" if thread is threading.main_thread() else "another thread"
    same = "on the server's loop" if loop is hook_loop else "on another loop"
    evidence = f"it ran on thread {thread.name!r}, the start-up hook on thread {hook_thread.name!r}"
    return Answer(f"{where}, {same}", evidence)


@web.middleware
def plain_middleware(request: web.Request, handler: Any) -> Any:
    """It hands on what the handler gives it: a coroutine, for aiohttp to await."""
    note()
    return handler(request)


def background_task(app: Quart) -> None:
    app.before_request(apps.asynchronous(partial(app.add_background_task, note)))


def generator(app: Quart) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            note()
            yield b"piece"

    @app.get("/stream")
    async def stream() -> Iterator[bytes]:
        return pieces()


HOOKED: apps.Adds = {
    AIOHTTP: {
        "on_startup": lambda app: app.on_startup.append(note),
        "on_response_prepare": lambda app: app.on_response_prepare.append(note),
        "a middleware that returns handler(request)": lambda app: app.middlewares.append(
            plain_middleware
        ),
    },
    QUART: {
        "before_serving": lambda app: app.before_serving(note),
        "before_request": lambda app: app.before_request(note),
        "after_request": lambda app: app.after_request(note),
        "teardown_request": lambda app: app.teardown_request(note),
        "add_background_task": background_task,
    },
}
FAILING: apps.Adds = {QUART: {"errorhandler": lambda app: app.errorhandler(404)(note)}}
STREAMING: apps.Adds = {QUART: {"pieces of a generator that a route returns": generator}}


@variants("sync-hooks", apps.adding(HOOKED), "/")
@variants("sync-hooks", apps.adding(FAILING), "/missing")
@variants("sync-hooks", apps.adding(STREAMING), "/stream")
def ask_hook(application: Build, target: str) -> Answer:
    try:
        with serve(application()) as server:
            try:
                got = str(get(server.port, target).status)
            except NoAnswer:
                got = "no answer"
            server.stop()  # background tasks are waited for
    except TypeError as error:
        return Answer("the application does not start", f"starting it raised TypeError: {error}")
    spoilt = "" if got in ("200", "404") else f", the client gets {got}"
    return as_seen(where_called().answer + spoilt, f"the client got {got}")


Make = Callable[[apps.Plain], Callable[..., Any]]
"""Makes a handler that does this, and answers with what it returns."""


def plain_function(work: apps.Plain) -> Callable[..., Any]:
    return lambda *_: work()


def plain_decorator(work: apps.Plain) -> Callable[..., Any]:
    """The wrapper forgot its `async` and its `await`: it hands on a coroutine."""
    handler = apps.asynchronous(work)

    @wraps(handler)
    def wrapper(*args: Any) -> Any:
        return handler(*args)

    return wrapper


class AsyncCallable:
    """An object with an `async def __call__`."""

    __name__ = "handler"

    def __init__(self, work: apps.Plain) -> None:
        self._work = work

    async def __call__(self, *_: Any) -> Any:
        return self._work()


def aiohttp_handler(make: Make) -> web.Application:
    return apps.answering(make(lambda: note(web.Response(text="hello"))))


def quart_handler(make: Make) -> Quart:
    app = Quart(__name__)
    app.add_url_rule("/", "handler", make(lambda: note("hello")))
    return app


HANDLERS: dict[str, Make] = {
    DEFAULT: plain_function,
    "a plain wrapper around an async function": plain_decorator,
    "functools.partial of an async function": lambda work: partial(apps.asynchronous(work)),
    "an object with an async __call__": AsyncCallable,
}
RAN = {
    "the loop's thread, on the server's loop": "runs on the loop",
    "worker thread, no running loop": "runs in a worker thread",
    "": "never runs",
}


@experiments("plain-function-handler", {AIOHTTP: aiohttp_handler, QUART: quart_handler}, HANDLERS)
def ask_handler(application: Build, make: Make) -> Answer:
    with warned() as caught:
        try:
            app = application(make)
        except Exception as error:
            return Answer(f"refused with {type(error).__name__}", f"registering raised {error}")
        at_first = len(caught)
        with serve(app) as server:  # kept until the warnings are counted
            status = get(server.port, "/").status
        gc.collect()  # what was never awaited says so when it goes
    at_once, later = (" and ".join(kinds(part)) for part in (caught[:at_first], caught[at_first:]))
    first = f"warns with {at_once}" if at_once else "without a warning"
    afterwards = f", and warns with {later}" if later else ""
    words = f"registered {first}, {RAN[places()]}, answered {status}{afterwards}"
    return as_seen(
        words,
        *dict.fromkeys(f"{warning.category.__name__}: {warning.message}" for warning in caught),
    )


GETTERS: dict[str, Callable[[], Loop]] = {
    "asyncio.get_event_loop()": asyncio.get_event_loop,
    "asyncio.get_running_loop()": asyncio.get_running_loop,
}


@variants("get-event-loop", apps.PLAIN_CODE, each=GETTERS, named="{1} {0}")
def ask_loop(application: Build, getter: Callable[[], Loop]) -> Answer:
    loops: list[Loop] = []
    observations: list[str] = []

    def look() -> None:
        with warned() as caught:
            try:
                loops.append(getter())
                observations.append("it runs" if loops[0].is_running() else "it does not run")
            except RuntimeError as error:
                observations.append(f"raised {str(error)!r}")
        observations.extend(f"{warning.category.__name__}: {warning.message}" for warning in caught)

    with serve(application(look)) as server:
        get(server.port, "/")
    what = "the server's loop" if server.loop in loops else "another loop"
    return Answer(f"gives {what}" if loops else "raises RuntimeError", "; ".join(observations))
