"""Applications of the shape that the frameworks' own examples have, file by file.

Their routes, their way of starting and what they keep are those of the examples; nothing else is.
"""

from __future__ import annotations

POLLS_MAIN = """
import argparse
import pathlib
import tomllib

import asyncpg
import jinja2
from aiohttp import web

HERE = pathlib.Path(__file__).parent
CONFIG = web.AppKey("config", dict)
POOL = web.AppKey("pool", asyncpg.Pool)
PAGES = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True)


def config_of(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("-c", "--config", default=HERE.parent / "config" / "polls.toml")
    options, _ = parser.parse_known_args(argv)
    return tomllib.loads(pathlib.Path(options.config).read_text())


async def database(app):
    async with asyncpg.create_pool(**app[CONFIG]["postgres"]) as pool:
        app[POOL] = pool
        yield


def page(name, **values):
    text = PAGES.get_template(name).render(**values)
    return web.Response(text=text, content_type="text/html")


async def index(request):
    rows = await request.app[POOL].fetch("SELECT id, question_text FROM question ORDER BY id")
    return page("index.html", questions=rows)


async def results(request):
    choices = await request.app[POOL].fetch(
        "SELECT id, choice_text, votes FROM choice WHERE question_id = $1 ORDER BY id",
        int(request.match_info["question_id"]),
    )
    if not choices:
        raise web.HTTPNotFound
    return page("results.html", choices=choices)


async def vote(request):
    form = await request.post()
    await request.app[POOL].execute(
        "UPDATE choice SET votes = votes + 1 WHERE id = $1", int(form["choice"])
    )
    raise web.HTTPFound(f"/poll/{request.match_info['question_id']}/results")


@web.middleware
async def pages_of_errors(request, handler):
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return page("404.html")


async def init_app(argv=None):
    app = web.Application(middlewares=[pages_of_errors])
    app[CONFIG] = config_of(argv)
    app.cleanup_ctx.append(database)
    app.router.add_get("/", index)
    app.router.add_get("/poll/{question_id}", results)
    app.router.add_get("/poll/{question_id}/results", results, name="results")
    app.router.add_post("/poll/{question_id}/vote", vote)
    app.router.add_static("/static/", HERE / "static")
    return app


def main(argv):
    web.run_app(init_app(argv))
"""

BLOG = """
from pathlib import Path
from sqlite3 import dbapi2 as sqlite3

from quart import Quart, g, redirect, render_template, request, url_for

app = Quart(__name__)
app.config.update({"DATABASE": Path(app.root_path) / "blog.db"})


def database():
    if not hasattr(g, "database"):
        g.database = sqlite3.connect(app.config["DATABASE"])
        g.database.row_factory = sqlite3.Row
    return g.database


@app.get("/")
async def posts():
    rows = database().execute("SELECT title, text FROM post ORDER BY id DESC").fetchall()
    return await render_template("posts.html", posts=rows)


@app.route("/create/", methods=["GET", "POST"])
async def create():
    if request.method == "GET":
        return await render_template("create.html")
    form = await request.form
    database().execute("INSERT INTO post (title, text) VALUES (?, ?)", [form["title"], "x"])
    database().commit()
    return redirect(url_for("posts"))


def init_db():
    with sqlite3.connect(app.config["DATABASE"]) as connection:
        connection.executescript((Path(app.root_path) / "schema.sql").read_text())


def run():
    app.run()
"""

VIDEO = """
from pathlib import Path

from quart import Quart, render_template, send_file

app = Quart(__name__)


@app.get("/")
async def index():
    return await render_template("index.html")


@app.route("/video.mp4")
async def video():
    return await send_file(Path(app.static_folder) / "video.mp4", conditional=True)


def run():
    app.run()
"""

BROKER = """
import asyncio


class Broker:
    def __init__(self):
        self.queues = set()

    async def publish(self, message):
        for queue in self.queues:
            await queue.put(message)

    async def subscribe(self):
        queue = asyncio.Queue()
        self.queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self.queues.remove(queue)
"""

CHAT = """
import asyncio

from chat.broker import Broker
from quart import Quart, render_template, websocket

app = Quart(__name__)
broker = Broker()


@app.get("/")
async def index():
    return await render_template("index.html")


async def receive():
    while True:
        await broker.publish(await websocket.receive())


@app.websocket("/ws")
async def room():
    receiving = asyncio.ensure_future(receive())
    try:
        async for message in broker.subscribe():
            await websocket.send(message)
    finally:
        receiving.cancel()
        await receiving


def run():
    app.run(debug=True)
"""

EVENTS = """
import asyncio
from dataclasses import dataclass

from quart import Quart, abort, make_response, request

app = Quart(__name__)


@dataclass
class Event:
    data: str
    event: str

    def encode(self):
        return f"data: {self.data}\\nevent: {self.event}\\n\\n".encode()


@app.get("/sse")
async def sse():
    if "text/event-stream" not in request.accept_mimetypes:
        abort(400)

    async def send_events():
        number = 0
        while True:
            number += 1
            yield Event(str(number), "tick").encode()
            await asyncio.sleep(0.005)

    response = await make_response(
        send_events(),
        {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-cache",
            "Transfer-Encoding": "chunked",
        },
    )
    response.timeout = None
    return response
"""

QUESTIONS = """<ul>{% for one in questions %}<li>{{ one["question_text"] }}</li>{% endfor %}</ul>"""
CHOICES = """<ul>{% for one in choices %}<li>{{ one["choice_text"] }}</li>{% endfor %}</ul>"""
POSTS = """<ul>{% for post in posts %}<li>{{ post.title }}: {{ post.text }}</li>{% endfor %}</ul>"""

APPS: dict[str, dict[str, str]] = {
    "aiohttpdemo_polls.main:init_app": {
        "aiohttpdemo_polls/__init__.py": "",
        "aiohttpdemo_polls/main.py": POLLS_MAIN,
        "aiohttpdemo_polls/templates/index.html": QUESTIONS,
        "aiohttpdemo_polls/templates/results.html": CHOICES,
        "aiohttpdemo_polls/templates/404.html": "<p>there is no such page</p>",
        "aiohttpdemo_polls/static/style.css": "p { color: black }",
    },
    "src/blog:app": {
        "src/blog/__init__.py": BLOG,
        "src/blog/schema.sql": (
            "CREATE TABLE post (id INTEGER PRIMARY KEY, title TEXT, text TEXT);"
            "INSERT INTO post (title, text) VALUES ('first', 'nothing yet');"
        ),
        "src/blog/templates/posts.html": POSTS,
        "src/blog/templates/create.html": '<form method="POST"><input name="title"></form>',
    },
    "src/video:app": {
        "src/video/__init__.py": VIDEO,
        "src/video/templates/index.html": '<video src="/video.mp4"></video>',
        "src/video/static/video.mp4": "moving pictures " * 20_000,
    },
    "src/chat:app": {
        "src/chat/__init__.py": CHAT,
        "src/chat/broker.py": BROKER,
        "src/chat/templates/index.html": "<script>new WebSocket('/ws')</script>",
    },
    "events:app": {"events.py": EVENTS},
}
"""By what `--app` names: the files of its folder."""

POLLS_TABLES = """
CREATE TABLE question (id SERIAL PRIMARY KEY, question_text TEXT NOT NULL);
CREATE TABLE choice (
    id SERIAL PRIMARY KEY, choice_text TEXT NOT NULL, votes INTEGER NOT NULL DEFAULT 0,
    question_id INTEGER NOT NULL REFERENCES question (id)
);
INSERT INTO question (question_text) VALUES ('Which one?');
INSERT INTO choice (choice_text, question_id) VALUES ('this', 1), ('that', 1);
"""
