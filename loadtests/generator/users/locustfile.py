"""The users of a person's own locustfile, as Locust runs them, in the phases of a session."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gevent
import requests
from locust import FastHttpUser, User
from locust.env import Environment
from locust.runners import LocalRunner
from locust.user.task import LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from loopbench.loadtests.generator.locustfile import HTTP_USERS, Loaded, load
from loopbench.loadtests.generator.session import LoadRun, Session
from loopbench.loadtests.generator.users.bounded_bodies import TooLarge, bound_bodies
from loopbench.loadtests.scenarios.models import Locustfile

STILL_RUNNING = "a task had not ended when the load was over"

ELSEWHERE = "not to the server that is measured"
"""Of a request that would have left for another one, and is not sent."""


def runner(session: Session, run: LoadRun) -> LocalRunner:
    """Locust's, for the users of the run's file with what it has added to Locust's events.

    What Locust says of each request is recorded.
    """
    bound_bodies()
    model: Locustfile = run.model
    loaded = load(Path(model.file))
    events = loaded.events()
    base = f"http://{session.spec.authority}"
    record = _Record(session, run)
    add: Any = events.request.add_listener
    add(record.request)
    add = events.user_error.add_listener
    add(record.user_error)
    classes = _classes(loaded, session, run, base)
    environment = Environment(user_classes=classes, events=events, host=base)
    local_runner = environment.create_local_runner()
    fire: Any = events.init.fire
    fire(environment=environment, runner=local_runner, web_ui=None)
    return local_runner


def _classes(loaded: Loaded, session: Session, run: LoadRun, base: str) -> list[type[User]]:
    """Those of the file: each with its own tasks, weight and wait time."""
    run.shared, run.clock = 0, "user"
    return [
        type(
            user_class.__name__,
            (_InPhases, user_class),
            {
                "__module__": user_class.__module__,
                "abstract": False,
                "host": base,
                "session": session,
                "run_of": run,
            },
        )
        for user_class in loaded.users
        if issubclass(user_class, HTTP_USERS)
    ]


class _Record:
    """Locust's events of a load as Records.

    A time is Locust's own, from the call of its client to the whole answer, by a clock in this
    process. A request counts where it began within the window, or the lead-in.
    """

    def __init__(self, session: Session, run: LoadRun) -> None:
        self._session, self._run = session, run

    def request(
        self,
        request_type: str,
        name: str,
        response_time: float,
        exception: Any = None,
        start_time: float | None = None,
        **_: Any,
    ) -> None:
        """See Locust's `request` event. response_time: ms. start_time: s, as `time.time` has it."""
        run, since = self._run, self._session.start_realtime_ns
        took_ns = int(response_time * 1e6)
        # What a file fires itself may lack it.
        sent_ns = time.time_ns() - took_ns if start_time is None else int(start_time * 1e9)
        if sent_ns - since > self._session.spec.close_ns:
            return
        series = run.series_at(sent_ns - since)
        if exception is None:
            series.add_answer(sent_ns, sent_ns + took_ns, since)
        else:
            reason = f"{request_type} {name[:60]}: {_reason(exception)}"
            series.fail(reason, took_ns, str(exception)[:200])

    def user_error(self, exception: BaseException, **_: Any) -> None:
        """See Locust's `user_error` event: a task, or `on_start`, that raised."""
        name = type(exception).__name__
        self._run.series.fail(f"a task raised {name}", 0, f"{name}: {exception}"[:200])


def _reason(exception: Any) -> str:
    """In words that do not vary from request to request."""
    if ELSEWHERE in str(exception):
        return ELSEWHERE
    if isinstance(exception, TooLarge):
        return str(exception)
    response = getattr(exception, "response", None)
    status = getattr(response, "status_code", None)
    return f"status {status}" if status else type(exception).__name__


class _InPhases:
    """Before a user class of the file: takes part in the session's phases.

    It connects, as its client does, with its first request.
    """

    session: Session
    run_of: LoadRun
    client: Any
    _state: str | None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)  # type: ignore[call-arg]
        at = (self.session.spec.host, self.session.spec.port)
        if isinstance(self, FastHttpUser):
            _confine_fast(self.client, at)
        else:
            _confine(self.client, self.session.spec.authority)

    def start(self, group: Any) -> Any:
        """As Locust's."""
        self._group = group
        self._greenlet = group.spawn(_take_part, self)
        return self._greenlet

    def stop(self, force: bool = False) -> bool:
        """As Locust's. The phases have ended its tasks already, or they are to end at once."""
        self._group.killone(self._greenlet)
        return True


def _take_part(user: Any) -> None:
    session, run = user.session, user.run_of
    number, run.shared = run.shared, run.shared + 1
    model: Locustfile = run.model
    try:
        session.arrive()
        session.started.wait()
        if model.spawn_rate:
            run.over.wait(number / model.spawn_rate)
        if run.running:
            tasks = gevent.spawn(user.run)
            try:
                run.over.wait()
                _end(user, tasks, session, run)
            finally:
                tasks.kill(block=False)
    except Exception as error:  # a defect of the generator, not an answer of the server
        session.break_off(error)
    finally:
        session.finish()
    session.released.wait()


def _end(user: _InPhases, tasks: Any, session: Session, run: LoadRun) -> None:
    """Let the task under way end, for as long as a drain lasts."""
    if user._state == LOCUST_STATE_WAITING:
        tasks.kill()
        return
    if not tasks.dead:
        user._state = LOCUST_STATE_STOPPING
        tasks.join(session.spec.drain_s)
        if not tasks.dead:
            run.measured.fail(STILL_RUNNING, int(session.spec.drain_s * 1e9), type(user).__name__)


def _confine(client: Any, authority: str) -> None:
    """Let a client of requests reach the server under test alone."""
    adapter = client.get_adapter("http://")
    client.trust_env = False  # no proxy, no password of a .netrc
    client.adapters.clear()
    client.mount("http", _Nowhere())
    client.mount(f"http://{authority}/", adapter)


class _Nowhere(requests.adapters.BaseAdapter):
    def send(self, request: Any, *_: Any, **__: Any) -> Any:
        raise requests.ConnectionError(f"{request.url}: {ELSEWHERE}", request=request)

    def close(self) -> None:
        """Nothing is open."""


def _confine_fast(client: Any, at: tuple[str, int]) -> None:
    """The same of FastHttpUser's client."""
    pool = client.client.clientpool
    get_client = pool.get_client

    def of_the_server(url: Any) -> Any:
        if (url.host, url.port) != at:
            raise ConnectionRefusedError(f"{url}: {ELSEWHERE}")
        return get_client(url)

    pool.get_client = of_the_server
