"""Which phase of a request a function serves: one table, and unknown for what it does not know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache

from loopbench.results.schema import CostKind
from loopbench.results.why.costs import Function, Node

READING = "reading and parsing"
ROUTING = "routing"
HOOKS = "middleware and hooks"
CONTEXT = "request and context"
HANDLER = "handler"
RESPONSE = "response"
WRITING = "writing"
LOOP = "loop and tasks"
THREADS = "hand-over to a thread"
UNKNOWN = "unknown"

PHASES = (READING, ROUTING, HOOKS, CONTEXT, HANDLER, RESPONSE, WRITING, LOOP, THREADS, UNKNOWN)

_CALLER = "that of the caller"
"""The phase of what serves whoever calls it."""

_RULES: tuple[tuple[str, str], ...] = (
    # The suite's own. What its adapters do belongs to no phase of a request.
    ("loopbench.servers.apps.*:errors", HOOKS),
    ("loopbench.servers.apps.*:respond", RESPONSE),
    ("loopbench.servers.apps.*:in_executor*", THREADS),
    ("loopbench.servers.apps.*:_Request*", CONTEXT),
    ("loopbench.servers.apps.*", HANDLER),
    ("loopbench.servers.documented.*", HANDLER),
    ("loopbench.servers.handlers.*", HANDLER),
    ("loopbench.servers.contract.*", _CALLER),
    # asyncio, by what the loop does for whom.
    ("asyncio.*:*run_in_executor*", THREADS),
    ("asyncio.futures:_*chain*", THREADS),
    ("asyncio.futures:_*copy_future_state*", THREADS),
    ("asyncio.futures:wrap_future*", THREADS),
    ("asyncio.*:*call_soon_threadsafe*", THREADS),
    ("asyncio.selector_events:*_write_to_self*", THREADS),
    ("asyncio.selector_events:*_read_from_self*", THREADS),
    ("asyncio.threads:*", THREADS),
    ("asyncio.*:BaseEventLoop.__repr__", _CALLER),
    ("asyncio.*:BaseEventLoop.is_*", _CALLER),
    ("asyncio.*:BaseEventLoop.get_debug", _CALLER),
    ("asyncio.*:BaseEventLoop.time", _CALLER),
    ("asyncio.selector_events:*_read_ready*", READING),
    ("asyncio.selector_events:_Selector*Transport.*", WRITING),
    ("asyncio.streams:StreamReader*", READING),
    ("asyncio.streams:StreamWriter*", WRITING),
    ("asyncio.streams:FlowControlMixin*", WRITING),
    ("asyncio.*", LOOP),
    ("_asyncio:*", LOOP),
    ("selectors:*", LOOP),
    ("select:*", LOOP),
    ("uvloop.*", LOOP),
    ("concurrent.futures.*", THREADS),
    ("threading:Condition.*", THREADS),
    ("threading:Semaphore.*", THREADS),
    ("_queue:*", THREADS),
    # aiohttp
    ("aiohttp._http_parser:*", READING),
    ("aiohttp.http_parser:*", READING),
    ("aiohttp.streams:*", READING),
    ("aiohttp.web_protocol:RequestHandler.data_received", READING),
    ("aiohttp.web_protocol:RequestHandler.log_access", _CALLER),
    ("aiohttp.web_protocol:RequestHandler.start", LOOP),
    ("aiohttp.web_protocol:RequestHandler._handle_request", HOOKS),
    ("aiohttp.web_protocol:RequestHandler.finish_response", RESPONSE),
    ("aiohttp.base_protocol:*", WRITING),
    ("aiohttp.web_urldispatcher:*", ROUTING),
    ("aiohttp.web_middlewares:*", HOOKS),
    ("aiohttp.web_app:Application._make_request", CONTEXT),
    ("aiohttp.web_app:*", HOOKS),
    ("aiohttp.web_request:*.read", READING),
    ("aiohttp.web_request:*.post", READING),
    ("aiohttp.web_request:*", CONTEXT),
    ("aiohttp.web_response:*write*", WRITING),
    ("aiohttp.web_response:*", RESPONSE),
    ("aiohttp.payload:*", RESPONSE),
    ("aiohttp.http_writer:*", WRITING),
    ("aiohttp._http_writer:*", WRITING),
    ("aiohttp.helpers:*", _CALLER),
    ("aiosignal*", HOOKS),
    # h11: its events, states and headers serve both directions.
    ("h11._readers:*", READING),
    ("h11._receivebuffer:*", READING),
    ("h11._connection:Connection.next_event", READING),
    ("h11._connection:Connection.receive_data", READING),
    ("h11._connection:Connection.send*", WRITING),
    ("h11._writers:*", WRITING),
    ("h11.*", _CALLER),
    ("httptools.*", READING),
    # Hypercorn
    ("hypercorn.asyncio.tcp_server:TCPServer._read_data", READING),
    ("hypercorn.asyncio.tcp_server:TCPServer.protocol_send", WRITING),
    ("hypercorn.asyncio.*", LOOP),
    ("hypercorn.protocol:ProtocolWrapper.*", READING),
    ("hypercorn.protocol.h11:H11Protocol.handle", READING),
    ("hypercorn.protocol.h11:H11Protocol._handle_events", READING),
    ("hypercorn.protocol.h11:H11Protocol._check_protocol", READING),
    ("hypercorn.protocol.h11:H11Protocol._create_stream", CONTEXT),
    ("hypercorn.protocol.h11:*", WRITING),
    ("hypercorn.protocol.http_stream:HTTPStream.handle", CONTEXT),
    ("hypercorn.protocol.http_stream:*", WRITING),
    ("hypercorn.app_wrappers:*", CONTEXT),
    ("hypercorn.config:*", RESPONSE),
    ("hypercorn.logging:*", _CALLER),
    ("hypercorn.utils:*", _CALLER),
    ("hypercorn.events:*", _CALLER),
    # uvicorn
    ("uvicorn.protocols.http.*:RequestResponseCycle.send", WRITING),
    ("uvicorn.protocols.http.*:RequestResponseCycle.receive", READING),
    ("uvicorn.protocols.http.*:RequestResponseCycle.__init__", CONTEXT),
    ("uvicorn.protocols.http.*:RequestResponseCycle.run_asgi", LOOP),
    ("uvicorn.protocols.http.*:*Protocol.on_response_complete", WRITING),
    ("uvicorn.protocols.http.*:*Protocol.*", READING),
    ("uvicorn.protocols.http.flow_control:*", WRITING),
    ("uvicorn.middleware.*", HOOKS),
    ("uvicorn.server:*", LOOP),
    # granian, as far as it is Python: it hands what Rust has read to the loop, as a task.
    ("granian.asgi:*", LOOP),
    ("granian._futures:*", LOOP),
    # Quart
    ("quart.asgi:*._create_request_from_scope", CONTEXT),
    ("quart.asgi:*.handle_messages", READING),
    ("quart.asgi:*._send_response", WRITING),
    ("quart.asgi:*.handle_request", CONTEXT),
    ("quart.asgi:*.__call__", LOOP),
    ("quart.asgi:ASGIHTTPConnection.__init__", CONTEXT),
    ("quart.ctx:*.match_request", ROUTING),
    ("quart.ctx:*", CONTEXT),
    ("quart.globals:*", CONTEXT),
    ("quart.routing:*", ROUTING),
    ("quart.app:Quart.create_url_adapter", ROUTING),
    ("quart.app:Quart.dispatch_request", ROUTING),
    ("quart.app:Quart.raise_routing_exception", ROUTING),
    ("quart.app:Quart.make_response", RESPONSE),
    ("quart.app:Quart.asgi_app", CONTEXT),
    ("quart.app:Quart.__call__", CONTEXT),
    ("quart.app:Quart.handle_request", CONTEXT),
    ("quart.app:Quart.request_context", CONTEXT),
    ("quart.app:Quart.app_context", CONTEXT),
    ("quart.app:Quart.ensure_async", _CALLER),
    ("quart.app:Quart.sync_to_async", THREADS),
    ("quart.app:*", HOOKS),
    ("quart.sessions:*", CONTEXT),
    ("flask.sessions:*", CONTEXT),
    ("quart.wrappers.request:Body.*", READING),
    ("quart.wrappers.request:Request.get_data", READING),
    ("quart.wrappers.request:*", CONTEXT),
    ("quart.wrappers.base:*", CONTEXT),
    ("quart.wrappers.response:*", RESPONSE),
    ("quart.utils:run_sync*", THREADS),
    ("quart.utils:cancel_tasks", LOOP),
    ("quart.utils:raise_task_exceptions", LOOP),
    ("quart.utils:*", _CALLER),
    ("blinker.*", HOOKS),
    # Werkzeug and Flask
    ("werkzeug.routing.*", ROUTING),
    ("werkzeug routing:*", ROUTING),
    ("werkzeug.sansio.response:*", RESPONSE),
    ("werkzeug.wrappers.response:*", RESPONSE),
    ("werkzeug.sansio.request:*", CONTEXT),
    ("werkzeug.wrappers.request:*", CONTEXT),
    ("werkzeug.local:*", CONTEXT),
    ("werkzeug.*", _CALLER),
    ("flask.config:*", _CALLER),
    ("flask.ctx:*", CONTEXT),
    ("flask.globals:*", CONTEXT),
    ("flask.wrappers:*", CONTEXT),
    ("flask.app:Flask.create_url_adapter", ROUTING),
    ("flask.app:Flask.dispatch_request", ROUTING),
    ("flask.app:Flask.make_response", RESPONSE),
    ("flask.app:Flask.wsgi_app", CONTEXT),
    ("flask.app:Flask.__call__", CONTEXT),
    ("flask.app:Flask.request_context", CONTEXT),
    ("flask.app:*", HOOKS),
    ("flask.sansio.*", HOOKS),
    # Starlette
    ("starlette.middleware.*", HOOKS),
    ("starlette._exception_handler:*", HOOKS),
    ("starlette.applications:*", CONTEXT),
    ("starlette.routing:request_response*", CONTEXT),
    ("starlette.routing:*", ROUTING),
    ("starlette._utils:get_route_path", ROUTING),
    ("starlette.requests:Request.body", READING),
    ("starlette.requests:Request.stream", READING),
    ("starlette.requests:Request.json", READING),
    ("starlette.requests:Request._get_form", READING),
    ("starlette.requests:*", CONTEXT),
    ("starlette.formparsers:*", READING),
    ("starlette.responses:*.__call__", WRITING),
    ("starlette.responses:*", RESPONSE),
    ("starlette.concurrency:*", THREADS),
    ("anyio.to_thread:*", THREADS),
    ("anyio._backends._asyncio:WorkerThread.*", THREADS),
    ("anyio.*", _CALLER),
    ("starlette.datastructures:*", _CALLER),
    # gunicorn and waitress
    ("gunicorn.config:*", _CALLER),
    ("gunicorn.util:*", _CALLER),
    ("gunicorn.glogging:*", _CALLER),
    ("gunicorn.http.wsgi:*", WRITING),
    ("gunicorn.http.*", READING),
    ("gunicorn.http2.negotiation:*", READING),
    ("gunicorn.workers.*", LOOP),
    ("waitress.parser:*", READING),
    ("waitress.receiver:*", READING),
    ("waitress.task:ThreadedTaskDispatcher*", THREADS),
    ("waitress.task:*", WRITING),
    ("waitress.*", LOOP),
)
"""`module:qualified name` as a pattern, and its phase; the first that fits holds."""

_SERVE_THEIR_CALLERS = frozenset(
    {
        *("standard library", "generated code", "multidict", "yarl", "propcache", "frozenlist"),
        *("markupsafe", "idna", "itsdangerous", "priority"),
    }
)
"""Packages of small tools, as far as no rule says otherwise."""


def by_phase(tree: Iterable[Node]) -> dict[str, float]:
    """Own instructions a request by phase, in the order of PHASES; they add up to the request."""
    sums: dict[str, float] = defaultdict(float)
    for phase, node in in_phases(tree):
        sums[phase] += node.own
    return {phase: sums[phase] for phase in PHASES if phase in sums}


def functions_in(tree: Iterable[Node], phase: str) -> list[tuple[Function, float, float]]:
    """Functions that work in a phase, with entries and own instructions there, the dearest
    first."""
    sums: dict[Function, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for where, node in in_phases(tree):
        if where == phase:
            sums[node.function][0] += node.calls
            sums[node.function][1] += node.own
    rows = [(function, calls, own) for function, (calls, own) in sums.items()]
    return sorted(rows, key=lambda row: -row[2])


def in_phases(tree: Iterable[Node], outer: str = UNKNOWN) -> Iterator[tuple[str, Node]]:
    """Every Node with its phase: that of its function, or of the nearest caller that has one."""
    for node in tree:
        own = phase_of(node.function)
        phase = outer if own is None else own
        yield phase, node
        yield from in_phases(node.children, phase)


@cache
def phase_of(function: Function) -> str | None:
    """The phase by the table; None for what serves its caller. UNKNOWN where no rule fits a
    function that is no small tool. All of a person's own application is its handler."""
    if function.kind is CostKind.APPLICATION:
        return HANDLER
    name = f"{function.module}:{function.name}"
    table_phase = next((phase for pattern, phase in _RULES if fnmatchcase(name, pattern)), None)
    if table_phase is not None:
        return None if table_phase == _CALLER else table_phase
    if function.kind is CostKind.NOBODY or function.package not in _SERVE_THEIR_CALLERS:
        return UNKNOWN
    return None
