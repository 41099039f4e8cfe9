"""On which thread the frameworks open the files that they send."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web
from quart import Quart, send_file

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART
from loopbench.loadtests.behaviour.asking import Answer, variants
from loopbench.loadtests.behaviour.dispatch.places import note, where_called
from loopbench.loadtests.behaviour.framework.servers import App
from loopbench.loadtests.behaviour.talking import reply_of

NAME = "page.txt"


def file_response(folder: Path) -> web.Application:
    answer = apps.asynchronous(lambda: web.FileResponse(folder / NAME))
    return apps.aiohttp_app(web.get(f"/{NAME}", answer))


def static_route(folder: Path) -> web.Application:
    return apps.aiohttp_app(web.static("/", folder))


def sent_file(folder: Path) -> Quart:
    app = Quart(__name__)
    app.add_url_rule(f"/{NAME}", "page", partial(send_file, folder / NAME))
    return app


def static_folder(folder: Path) -> Quart:
    return Quart(__name__, static_folder=str(folder), static_url_path="/")


Sending = Callable[[Path], App]

SENDING: dict[str, dict[str, Sending]] = {
    AIOHTTP: {"web.FileResponse": file_response, "web.static": static_route},
    QUART: {"quart.send_file": sent_file, "static_folder": static_folder},
}


@variants("file-sent", SENDING)
def ask_file(application: Sending) -> Answer:
    """Python's own audit hooks tell when it is opened."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / NAME).write_text("hello")

        def heard(event: str, given: tuple[object, ...]) -> None:
            if event == "open" and str(given[0]) == str(folder / NAME):
                note()

        sys.addaudithook(heard)
        reply = reply_of(application(folder), f"/{NAME}")
    if reply.status != 200:
        raise LookupError(f"it was answered with {reply.status}")
    return where_called()
