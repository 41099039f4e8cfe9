"""`@experiment` and `@experiments`: the function that measures says which rows it answers.

    @experiment("expect-100", "aiohttp", "no such path", "/no")
    def ask_expecting(path: str) -> Answer: ...

is the row of the question `expect-100` of the function's topic, for one stack and
one setting, and is answered by `ask_expecting("/no")`.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import count
from typing import Any, TypeVar

from loopbench.loadtests.behaviour.framework.question import BOUND_S, DEFAULT, Answer, Experiment

Ask = TypeVar("Ask", bound=Callable[..., Answer])

Variants = Mapping[str, Mapping[str, Any]]
"""Stack, setting, and what the function is given first, such as an application."""

_REGISTERED: dict[str, list[tuple[int, Experiment]]] = {}
_PLACES = count()


def experiment(
    question: str,
    stack: str,
    setting: str = DEFAULT,
    /,
    *arguments: Any,
    bound_s: float = BOUND_S,
    alone: bool = False,
    sensitive: bool = False,
    waits: bool = False,
    **named: Any,
) -> Callable[[Ask], Ask]:
    """One row, answered by the function with these arguments.

    question: its name within the topic, which is the folder of the function.
    bound_s, alone, sensitive, waits: as an Experiment has them. Rows stand in the order in which
    they are written, also where one function has several of these above it.
    """
    place = next(_PLACES)

    def register(ask: Ask) -> Ask:
        name = f"{ask.__module__.split('.')[-2]}.{question}"
        run = partial(ask, *arguments, **named)
        row = Experiment(stack, setting, run, bound_s, alone, alone or sensitive, waits)
        _REGISTERED.setdefault(name, []).append((place, row))
        return ask

    return register


def experiments(
    question: str,
    stacks: Mapping[str, Any],
    settings: Iterable[str] | Mapping[str, Any] = (),
    /,
    *arguments: Any,
    **options: Any,
) -> Callable[[Ask], Ask]:
    """A row for each stack under each setting.

    stacks: what the function is given first, by stack, such as an application.
    settings: what it is given next: the setting itself, or what stands in the mapping for it.
        Where there are none, one row a stack without a setting. arguments: what follows.
    options: of `experiment`.
    """
    return together(
        experiment(question, stack, setting, first, *given, *arguments, **options)
        for setting, given in _each(settings)
        for stack, first in stacks.items()
    )


def variants(
    question: str,
    table: Variants,
    /,
    *arguments: Any,
    each: Iterable[str] | Mapping[str, Any] = (),
    named: str = "{}, {}",
    **options: Any,
) -> Callable[[Ask], Ask]:
    """A row for each setting of each stack, where every stack has settings of its own.

    each: under each of these as well, which the function is given next, or what stands in the
        mapping for it; `named` says how the row's setting is then called. arguments: what follows.
    """
    rows = []
    for stack, settings in table.items():
        for setting, first in settings.items():
            for more, given in _each(each):
                name = named.format(setting, more) if each else setting
                rows.append(experiment(question, stack, name, first, *given, *arguments, **options))
    return together(rows)


def together(rows: Iterable[Callable[[Ask], Ask]]) -> Callable[[Ask], Ask]:
    """All of these rows, answered by one function."""
    written = tuple(rows)

    def register(ask: Ask) -> Ask:
        for row in written:
            row(ask)
        return ask

    return register


def _each(settings: Iterable[str] | Mapping[str, Any]) -> Iterable[tuple[str, tuple[Any, ...]]]:
    """Each setting with what it gives to the function."""
    if not settings:
        return [(DEFAULT, ())]
    if isinstance(settings, Mapping):
        return [(setting, (value,)) for setting, value in settings.items()]
    return [(setting, (setting,)) for setting in settings]


def registered() -> dict[str, tuple[Experiment, ...]]:
    """The rows of every question by its full name, in the order in which they are written."""
    return {
        name: tuple(row for _, row in sorted(rows, key=lambda row: row[0]))
        for name, rows in _REGISTERED.items()
    }
