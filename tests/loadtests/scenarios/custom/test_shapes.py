"""The shapes that people's applications have: what each is taken for, or why it is refused."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from loopbench.loadtests.scenarios.custom.scenarios import prepare
from loopbench.servers.custom import look as look_module
from loopbench.servers.custom.look import Looks, look_at
from loopbench.servers.errors import StartupFailed
from loopbench.servers.parts import AIOHTTP, ASGI, OwnApp
from tests.servers.processes import eventually, needs_proc

WEB = """
import argparse, asyncio, atexit, functools, os, subprocess, sys, threading, time
from aiohttp import web


async def hello(request):
    return web.json_response({"hello": "there"})


def made():
    app = web.Application()
    app.router.add_get("/", hello)
    return app


app = made()


def with_argv(argv):
    assert argv == []
    return made()


async def reads_the_command_line():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", default="dev")
    parser.parse_args()
    return made()


def of_one(config):
    assert config == "dev.toml"
    return made()


def of_two(config, debug):
    assert debug is True
    return made()


def of_three(config, debug, *, workers):
    return made()


def of_defaults(config="dev", debug=False):
    return made()


def runs_a_loop():
    app = made()
    app["db"] = asyncio.run(asyncio.sleep(0, 1))
    return app


def needs_a_loop():
    app = made()
    app["task"] = asyncio.get_running_loop().create_future()
    return app


async def from_a_coroutine():
    await asyncio.sleep(0)
    return made()


def forks():
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    return made()


def keeps_a_thread():
    threading.Thread(target=time.sleep, args=(60,)).start()
    return made()


def prints():
    print("made", flush=True)
    atexit.register(print, "closing")
    return made()


def starts_a_helper():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    return made()


def injected(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function("dev.toml", *args, **kwargs)
    return wrapper


@injected
def with_injection(config):
    return made()


class Site(web.Application):
    pass


class Holder:
    app = made()

    def build(self):
        return self.app


holder = Holder()


def exits():
    raise SystemExit("no settings")


def nothing():
    return None


def number(count=3):
    return count
"""

BARE = """
import functools


async def plain(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


async def any_arguments(*args):
    await plain(*args)


async def other_names(s, r, w):
    await plain(s, r, w)


def returns_a_coroutine(scope, receive, send):
    return plain(scope, receive, send)


class Slotted:
    __slots__ = ("__call__", "app")

    def __init__(self, app):
        self.app = app
        self.__call__ = self._run

    async def _run(self, scope, receive, send):
        await self.app(scope, receive, send)


slotted = Slotted(plain)


class Middleware:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


wrapped = Middleware(Middleware(slotted))
bound = Middleware(plain).__call__
partly = functools.partial(lambda name, scope, receive, send: plain(scope, receive, send), "x")


def logged(function):
    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        return await function(*args, **kwargs)
    return wrapper


decorated = logged(plain)


class Endpoint:
    def __init__(self, scope, receive, send):
        self.arguments = scope, receive, send

    def __await__(self):
        return plain(*self.arguments).__await__()


def create_app():
    return wrapped


def create_any(*args, **kwargs):
    return plain


def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]


class Wsgi:
    def __call__(self, environ, start_response):
        return []


wsgi_object = Wsgi()


def makes_wsgi():
    return wsgi


def double(scope):
    async def answer(receive, send):
        await plain(scope, receive, send)
    return answer
"""

QUARTS = """
from quart import Quart
from werkzeug.local import LocalProxy

app = Quart(__name__)
proxy = LocalProxy(lambda: app)


async def any_arguments(*args):
    await app(*args)


class Anything:
    def __getattr__(self, name):
        return self

    async def __call__(self, scope, receive, send):
        await app(scope, receive, send)


anything = Anything()
"""

FOUND: list[tuple[str, dict[str, Any], str]] = [
    ("web:app", {}, AIOHTTP),
    ("web.py:app", {}, AIOHTTP),
    ("web:Holder.app", {}, AIOHTTP),
    ("web:holder.build", {}, AIOHTTP),
    ("web:Site", {}, AIOHTTP),
    ("web:made", {}, AIOHTTP),
    ("web:made()", {}, AIOHTTP),
    ("web:of_one('dev.toml')", {}, AIOHTTP),
    ("web:of_two('dev.toml', debug=True)", {}, AIOHTTP),
    ("web:with_argv", {}, AIOHTTP),
    ("web:reads_the_command_line", {}, AIOHTTP),
    ("web:of_one", {"config": "dev.toml"}, AIOHTTP),
    ("web:of_two", {"config": "dev.toml", "debug": True}, AIOHTTP),
    ("web:of_three", {"config": "x", "debug": True, "workers": 2}, AIOHTTP),
    ("web:of_defaults", {}, AIOHTTP),
    ("web:with_injection", {}, AIOHTTP),
    ("web:runs_a_loop", {}, AIOHTTP),
    ("web:from_a_coroutine", {}, AIOHTTP),
    ("web:forks", {}, AIOHTTP),
    ("web:keeps_a_thread", {}, AIOHTTP),
    ("web:prints", {}, AIOHTTP),
    ("web:starts_a_helper", {}, AIOHTTP),
    ("bare:plain", {}, ASGI),
    ("bare:any_arguments", {}, ASGI),
    ("bare:other_names", {}, ASGI),
    ("bare:returns_a_coroutine", {}, ASGI),
    ("bare:slotted", {}, ASGI),
    ("bare:wrapped", {}, ASGI),
    ("bare:bound", {}, ASGI),
    ("bare:partly", {}, ASGI),
    ("bare:decorated", {}, ASGI),
    ("bare:Endpoint", {}, ASGI),
    ("bare:create_app", {}, ASGI),
    ("bare:create_any", {}, ASGI),
    ("src/inner:app", {}, ASGI),
    ("src/inner.py:app", {}, ASGI),
    ("src/deep/web.py:app", {}, ASGI),
    ("site.py:app", {}, ASGI),
    ("gc:app", {}, ASGI),
    ("loose.shop:app", {}, ASGI),
    ("servers.web:app", {}, ASGI),
    ("serves:app", {}, AIOHTTP),
    ("configured:app", {}, ASGI),
    ("quarts:any_arguments", {}, ASGI),
    ("quarts:proxy", {}, ASGI),
    ("quarts:anything", {}, ASGI),
    ("packaged/site/web.py:app", {}, ASGI),
]

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("web:of_one", {}, "web:of_one needs config, which nobody gives it; add --arg config=…"),
    (
        "web:of_one",
        {"config": [date(2026, 11, 29)]},
        "the argument config holds a date or a time, ",
    ),
    ("web:of_two", {"config": "x"}, "web:of_two needs debug, which nobody gives it"),
    ("web:of_three", {}, "needs config, debug, workers, which nobody gives it"),
    ("web:made", {"port": 1}, "got an unexpected keyword argument 'port'; correct --arg"),
    ("web:exits", {}, "web:exits() raised SystemExit: no settings (web.py, line "),
    ("web:Holder.build", {}, "web:Holder.build is a method of a class; name that of an object, as"),
    ("web:nothing", {}, "web:nothing is NoneType, neither an aiohttp"),
    ("web:number", {}, "web:number is int, neither an aiohttp"),
    ("web:made(open('x'))", {}, "only numbers, texts, True, False, None"),
    ("web:made]", {}, "'made]' is no name of an application"),
    ("bare:wsgi", {}, "is a WSGI application, called with environ and start_response; wrap it"),
    ("bare:wsgi_object", {}, "is a WSGI application, called with environ and start_response"),
    ("bare:makes_wsgi", {}, "is a WSGI application, called with environ and start_response"),
    ("bare:double", {}, "takes a scope alone, as ASGI 2 had it; wrap it"),
    ("inner:app", {}, "src holds it: write src/inner:app"),
    ("web:hello", {}, "web:hello answers one request, as a handler does; name the application"),
    (
        "packaged/site/absolute.py:app",
        {},
        "did not find 'site.names': site is a module of Python's own that is imported already, and",
    ),
    (
        "shadowing:app",
        {},
        "did not find 'colorsys.table': colorsys.py stands in the place of Python's own colorsys",
    ),
    ("shadowing_attribute:app", {}, "'rgb_to_hsv': colorsys.py stands in the place of Python's"),
    ("shadowing_name:app", {}, "): colorsys.py stands in the place of Python's own colorsys; give"),
    (
        "plistlib:app",
        {},
        "did not find 'plistlib.x': plistlib.py stands in the place of Python's own plistlib; give",
    ),
    (
        "filecmp:app",
        {},
        "filecmp.py): filecmp.py stands in the place of Python's own filecmp; give it",
    ),
    (
        "starlette:app",
        {},
        "'starlette.routing': starlette.py stands in the place of the package starlette; give it",
    ),
    ("uvicorn:app", {}, "uvicorn.py): uvicorn.py stands in the place of the package uvicorn; give"),
    (
        "loose/shop.py:app",
        {},
        "(loose/shop.py, line 1); it is a module of a package: name it loose.shop:app in the ",
    ),
    ("imports_loose:app", {}, "(loose/shop.py, line 1); correct that first"),
    (
        "as_main:app",
        {},
        "has no 'app', which it makes under `if __name__ == \"__main__\":` (line 3), and an import",
    ),
    ("as_main:other", {}, "module as_main has no 'other'; it has made"),
    (
        "raises:app",
        {},
        (
            "importing raises raised KeyError: 'DATABASE_URL' (raises.py, line 2); "
            "set it in the environment, as in DATABASE_URL=… before the command"
        ),
    ),
    (
        "keys:variable",
        {},
        (
            "keys:variable() raised KeyError: 'SHOP' (keys.py, line 3); "
            "set it in the environment, as in SHOP=… before the command"
        ),
    ),
    (
        "keys:plain",
        {},
        "keys:plain() raised KeyError: 'SHOP' (keys.py, line 5); correct that first",
    ),
    (
        "leaves:app",
        {},
        "importing leaves ended its process by SystemExit: bye (leaves.py, line 1); it was ",
    ),
    ("says_why:app", {}, "when it is imported; its last line: set SHOP"),
    (
        "wants_more:of_argv",
        {},
        (
            "wants_more:of_argv() raised SystemExit: 2 (wants_more.py, line 4); correct that "
            "first; its last line: wants_more.py: error: the following arguments are required: --co"
        ),
    ),
    ("dies:app", {}, "ended the process that imported it, exit status 7: out of luck"),
    ("serves_within:app", {}, "starts a server on 127.0.0.1 port "),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's folder, with modules whose names are taken elsewhere."""
    folder = tmp_path_factory.mktemp("shapes")
    app = "from bare import plain as app\n"
    files = {
        "web.py": WEB,
        "bare.py": BARE,
        "quarts.py": QUARTS,
        "packaged/site/__init__.py": "",
        "packaged/site/names.py": "kept = True\n",
        "packaged/site/web.py": "from .names import kept\n" + app,
        "packaged/site/absolute.py": "from site.names import kept\n" + app,
        "colorsys.py": "",
        "shadowing.py": "import colorsys.table\n" + app,
        "shadowing_attribute.py": "import colorsys\ncolorsys.rgb_to_hsv\n" + app,
        "shadowing_name.py": "from colorsys import rgb_to_hsv\n" + app,
        "src/inner.py": "import bare\napp = bare.plain\n",
        "src/deep/__init__.py": "",
        "src/deep/web.py": "from deep import __name__\nfrom bare import plain as app\n",
        "site.py": app,
        ".env": "SECRET=of the shop\n",
        "configured.py": (
            "import os\n"
            "from pathlib import Path\n"
            "for file in (Path('.env'), Path(__file__).parent / '.env'):\n"
            "    name, _, value = file.read_text().strip().partition('=')\n"
            "    os.environ[name] = value\n"
            "assert os.environ['SECRET'] == 'of the shop'\n" + app
        ),
        "gc.py": app,
        "plistlib.py": "import plistlib.x\n",
        "filecmp.py": "from filecmp import cmp\n",
        "starlette.py": "import starlette.routing\n",
        "uvicorn.py": "from uvicorn import run\n",
        "loose/shop.py": "from .names import kept\n" + app,
        "loose/names.py": "kept = True\n",
        "imports_loose.py": "import sys\nsys.path.insert(0, 'loose')\nimport shop\n" + app,
        "as_main.py": (
            "from web import made\nif __name__ == '__main__':\n    app = made()\n    app.run()\n"
        ),
        "queue.py": "raise RuntimeError('not the standard library')\n",
        "servers/__init__.py": "",
        "servers/web.py": app,
        "keys.py": (
            "import os\n"
            "def variable():\n"
            "    return os.environ['SHOP']\n"
            "def plain():\n"
            "    return {}['SHOP']\n"
        ),
        "raises.py": "import os\nos.environ['DATABASE_URL']\n",
        "leaves.py": "raise SystemExit('bye')\n",
        "says_why.py": "print('set SHOP')\nraise SystemExit(1)\n",
        "wants_more.py": (
            "import argparse\n"
            "parser = argparse.ArgumentParser()\n"
            "parser.add_argument('--config', required=True)\n"
            "of_argv = lambda argv: parser.parse_args(argv)\n"
        ),
        "dies.py": "import os\nos.write(2, b'out of luck\\n')\nos._exit(7)\n",
        "serves.py": (
            "from aiohttp import web\n"
            "from web import made\n"
            "app = made()\n"
            "web.run_app(app, host='127.0.0.1', port=0)\n"
            "app = None\n"
        ),
        "serves_within.py": (
            "from aiohttp import web\n"
            "from web import made\n"
            "def main():\n"
            "    app = made()\n"
            "    web.run_app(app, host='127.0.0.1', port=0)\n"
            "main()\n"
        ),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            yield path.read_bytes()


def look(folder: Path, target: str, arguments: dict[str, Any]) -> Looks:
    return look_at(OwnApp(target, str(folder), "/", arguments))


@pytest.mark.parametrize(("target", "arguments", "kind"), FOUND)
def test_a_shape_is_recognised(
    folder: Path, target: str, arguments: dict[str, Any], kind: str
) -> None:
    """By its signature, or by asking it; however it is written and wherever it lies."""
    assert look(folder, target, arguments).kind == kind


@pytest.mark.parametrize(("target", "arguments", "says"), REFUSED)
def test_a_shape_is_refused_with_the_remedy(
    folder: Path, target: str, arguments: dict[str, Any], says: str
) -> None:
    """In one line."""
    with pytest.raises(StartupFailed, match=re.escape(says)) as raised:
        look(folder, target, arguments)
    assert "\n" not in str(raised.value)


def test_a_module_that_serves_is_imported_as_far_as_that(tmp_path: Path) -> None:
    """As the examples of aiohttp are written, whether the address is free or taken; a module of a
    package, and names that are put off, are as in any import."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "pages.py").write_text("kept = True\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (package / "web.py").write_text(
            "from aiohttp import web\n"
            "from .pages import kept\n"
            "async def hello(request: web.Request) -> web.Response:\n"
            "    assert hello.__annotations__['request'] is web.Request\n"
            "    return web.json_response(kept)\n"
            "app = web.Application()\n"
            "app.router.add_get('/', hello)\n"
            "if kept:\n"
            f"    web.run_app(app, host='127.0.0.1', port={port}, reuse_port=False)\n"
        )
        own = prepare("shop/web.py:app", tmp_path, ["/"], None, ())
    assert own.described["requests"]["GET /"]["body_bytes"] == 4
    (note,) = own.notes
    assert note.startswith("its module starts a server of its own in line 9: that statement, and")


@needs_proc
def test_a_module_that_serves_in_a_child_to_reload_it_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As Quart's `run` does from 0.23 on: the child would be the look once more."""
    monkeypatch.setattr(look_module, "_AFTER_LISTENING_S", 0.1)
    (tmp_path / "reloads.py").write_text(
        "import os, subprocess, sys\n"
        "from quart import Quart\n"
        "app = Quart(__name__)\n"
        "if os.environ.get('QUART_RUN_MAIN') != 'true':\n"
        "    subprocess.call([sys.executable, *sys.orig_argv[1:]])\n"
        "app.run(port=0)\n"
    )
    assert look(tmp_path, "reloads:app", {}).until == 6


@needs_proc
@pytest.mark.parametrize("kept", ["", "taken.append(listener)\n"])
def test_an_import_that_computes_is_no_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: str
) -> None:
    """Also where it has bound a port on the way, to see whether it can, or opened it."""
    monkeypatch.setattr(look_module, "_AFTER_LISTENING_S", 0.1)
    (tmp_path / "slowly.py").write_text(
        "import socket, time\n"
        "taken = []\n"
        "with socket.create_server(('127.0.0.1', 0)) as listener:\n"
        "    listener = listener.dup()\n"
        f"{kept or 'listener.close()'}\n"
        "end = time.process_time() + 0.5\n"
        "while time.process_time() < end:\n"
        "    pass\n"
        "from aiohttp import web\n"
        "app = web.Application()\n"
    )
    assert look(tmp_path, "slowly:app", {}).until is None


@needs_proc
def test_a_factory_that_serves_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    """Not as a module that does: there is nothing to put below its last lines."""
    monkeypatch.setattr(look_module, "_AFTER_LISTENING_S", 0.1)
    (folder / "command.py").write_text(
        "from aiohttp import web\n"
        "from web import made\n"
        "def main():\n"
        "    web.run_app(made(), host='127.0.0.1', port=0)\n"
    )
    with pytest.raises(StartupFailed) as raised:
        look(folder, "command:main", {})
    says = r"command:main\(\) starts a server on 127\.0\.0\.1 port 0 and does not return; it is at "
    assert re.match(says + r"command\.py, line 4; name the application", str(raised.value))


def test_a_module_that_closes_every_descriptor_is_told_as_that(tmp_path: Path) -> None:
    """As some that become daemons do: nothing could be asked of such a server."""
    (tmp_path / "closes.py").write_text("import os\nos.closerange(3, 1024)\napp = None\n")
    with pytest.raises(StartupFailed, match="it closes descriptors that it has not opened"):
        look(tmp_path, "closes:app", {})


def test_what_needs_a_running_loop_is_made_in_one(folder: Path) -> None:
    """As under uvicorn; what does not is made without, as under gunicorn."""
    assert look(folder, "web:needs_a_loop", {}).in_loop
    assert not look(folder, "web:runs_a_loop", {}).in_loop


HELD = """
import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from asgiref.wsgi import WsgiToAsgi
from bare import Middleware, plain, wsgi

wrapped = Middleware(WsgiToAsgi(wsgi))


def on_uvloop():
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    return plain


def with_an_executor():
    plain.pool = ThreadPoolExecutor(3, "kitchen")
    plain.pool.submit(int).result()
    return plain


def with_two_executors():
    plain.pools = ThreadPoolExecutor(1, "till"), ThreadPoolExecutor(2)
    return plain


def with_a_thread():
    threading.Thread(target=threading.Event().wait, name="refresher", daemon=True).start()
    return plain
"""


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("held:wrapped", "all its requests run one after another in one thread, which is its"),
        ("held:on_uvloop", "it sets uvloop for its process, which the server here does not take"),
        ("held:with_an_executor", "an executor of its own (kitchen: 3 threads): what waits for a"),
        ("held:with_two_executors", "it has 2 executors of its own (till: 1 thread, unnamed: 2"),
        ("held:with_a_thread", "it runs a thread of its own beside the loop's (refresher): it"),
    ],
)
def test_what_an_application_holds_is_named(folder: Path, target: str, says: str) -> None:
    """Where it limits, or changes, what is measured; also under middleware."""
    (folder / "held.py").write_text(HELD)
    (note,) = look(folder, target, {}).notes
    assert says in note
    assert look(folder, "bare:plain", {}).notes == ()


def test_its_own_routes_are_found(folder: Path) -> None:
    """Those of GETs without a parameter, of aiohttp's router and of Quart's map."""
    (folder / "routed.py").write_text(
        "from quart import Quart\n"
        "app = Quart(__name__, static_folder=None)\n"
        "app.get('/a')(lambda: 'a')\n"
        "app.add_url_rule('/b', 'b', lambda: 'b', methods=['POST'])\n"
        "app.add_url_rule('/c/<name>', 'c', lambda name: name)\n"
    )
    assert look(folder, "routed:app", {}).routes == ("/a",)
    assert look(folder, "web:app", {}).routes == ("/",)


def test_an_import_that_takes_too_long_says_where_it_is(tmp_path: Path) -> None:
    """The line of the person's own code, and the option that waits longer."""
    (tmp_path / "slow.py").write_text("import time\n\ntime.sleep(60)\n")
    for ready_s in (2.0, 8.0, 32.0):  # on a busy machine the interpreter itself may take the first
        with pytest.raises(StartupFailed, match="--ready-s") as raised:
            look_at(OwnApp("slow:app", str(tmp_path), "/", ready_s=ready_s))
        if "slow.py" in str(raised.value):
            break
    said = f"slow:app was not imported within {ready_s:g} s; it is at slow.py, line 3"
    assert said in str(raised.value)


@needs_proc
@pytest.mark.parametrize("own_session", [False, True])
def test_no_process_of_the_person_is_left(tmp_path: Path, own_session: bool) -> None:
    """A helper that was started at import ends with the look, and with each server, also where it
    has left their process group."""
    (tmp_path / "helped.py").write_text(
        "import subprocess, sys\n"
        "from aiohttp import web\n"
        "wait = [sys.executable, '-c', 'import time; time.sleep(90)', __file__]\n"
        f"subprocess.Popen(wait, start_new_session={own_session})\n"
        "async def hello(request):\n"
        "    return web.Response(text='hello')\n"
        "app = web.Application()\n"
        "app.router.add_get('/', hello)\n"
    )
    own = prepare("helped:app", tmp_path, ["/"], None, ())
    assert own.described["requests"]["GET /"]["status"] == 200
    # What was killed is gone a moment later.
    assert eventually(lambda: str(tmp_path).encode() not in b"".join(command_lines()))
