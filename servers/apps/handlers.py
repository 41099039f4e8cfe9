"""The handlers of one application, by the Route that each is for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar, cast

from loopbench.servers.contract.routes import ROUTES, WS_ROUTES, Route

H = TypeVar("H", bound=Callable[..., Any])
F = TypeVar("F", bound=Callable[..., Any])

_NAMES = frozenset(route.name for route in (*ROUTES, *WS_ROUTES))


class Handlers(Generic[H]):
    """A decorator that keeps each handler under the name of its Route, and returns it unchanged.

    The name is the function's: `sleep_async` is for the Route `sleep-async`, and `async_`, whose
    name is a word of Python without the line at its end, for `async`.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, Callable[..., Any]] = {}

    def __call__(self, handler: F) -> F:
        return self.under(handler.__name__.rstrip("_").replace("_", "-"))(handler)

    def under(self, *names: str) -> Callable[[F], F]:
        """The same for a handler of several Routes, given their names.

        Raises LookupError for a name that the contract has not, or that is taken.
        """

        def keep(handler: F) -> F:
            for name in names:
                if name not in _NAMES or name in self._by_name:
                    raise LookupError(f"{name} is no route of the contract, or has a handler")
                self._by_name[name] = handler
            return handler

        return keep

    def of(self, routes: Iterable[Route]) -> Iterator[tuple[Route, H]]:
        """Each Route with its handler. Raises LookupError for one that has none."""
        for route in routes:
            if route.name not in self._by_name:
                raise LookupError(f"the application has no handler for the route {route.name}")
            yield route, cast(H, self._by_name[route.name])
