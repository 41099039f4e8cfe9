"""A Flask application for its usual servers, which tells on which thread a request ran."""

import threading
import time

from flask import Flask


def create_app() -> Flask:
    """GET / takes a while, so that requests that come at once are under way at once."""
    app = Flask(__name__)

    @app.get("/")
    def where() -> str:
        time.sleep(0.1)
        thread = threading.current_thread()
        return f"{thread.native_id} {thread.name}"

    return app
