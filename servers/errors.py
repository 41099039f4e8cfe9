"""What can go wrong around a server, each as one line that a person can act on."""

from __future__ import annotations


class ServerError(Exception):
    """A server could not be started, kept or stopped. The message names cause and remedy."""


class UnknownStack(ServerError):
    """There is no stack of that name; the message gives the nearest name and all of them."""


class PortInUse(ServerError):
    """Another socket listens on the address already."""


class StartupFailed(ServerError):
    """The framework's own start-up raised; `__cause__` is what it raised."""
