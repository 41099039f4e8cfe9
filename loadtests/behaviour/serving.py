"""The stacks that are asked, and how an application is run on its framework's own server."""

from loopbench.loadtests.behaviour.applications import AIOHTTP, ANSWERING, QUART, Work
from loopbench.loadtests.behaviour.framework.servers import App, Apps, Build, Live, serve

__all__ = ["AIOHTTP", "ANSWERING", "QUART", "App", "Apps", "Build", "Live", "Work", "serve"]
