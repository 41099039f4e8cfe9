"""Scenarios of a person's own application: from paths, from a file, and what they answer."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.custom import locustfile
from loopbench.loadtests.scenarios.custom.learning import ANY_BODY, ASKED, learn
from loopbench.loadtests.scenarios.custom.loads_file import (
    STATUS_ALONE,
    arguments_of,
    of_file,
    of_paths,
    of_tables,
)
from loopbench.loadtests.scenarios.custom.waiting import telling
from loopbench.loadtests.scenarios.models import Load, Scenario, Stream
from loopbench.results.schema import Code
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.servers.contract.http import Case, Expected, Request, comparable_type
from loopbench.servers.contract.websockets import SWITCHED
from loopbench.servers.custom.look import look_at
from loopbench.servers.custom.stacks import rows
from loopbench.servers.errors import ServerError
from loopbench.servers.installed import available
from loopbench.servers.parts import READY_S, OwnApp
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.control_pipe import ControlError
from loopbench.servers.supervision.messages import Json

_REQUESTS = (LoadKind.CLOSED, LoadKind.OPEN)


@dataclass(frozen=True, slots=True)
class Own:
    """A person's own application, ready to be measured.

    stacks, scenarios: as STACKS and SCENARIOS are for the suite's own.
    described: what environment.json and plan.json say of it, as JSON types.
    notes: what a person should know before the load, a sentence each; in `described`, too.
    around_s: how long its start, the first requests and its stop took, while they were learned.
    """

    stacks: Mapping[str, Stack]
    scenarios: Mapping[str, Scenario]
    described: Json
    notes: tuple[str, ...] = ()
    around_s: float = 0.0

    def requests(self, wanted: str) -> dict[str, Case]:
        """The requests of its scenarios, by name. wanted: what they are for, the begin of a
        sentence. Raises HarnessError for a load that is not made of single requests."""
        loads = [load for scenario in self.scenarios.values() for load in scenario.loads]
        other = next((load for load in loads if load.model.kind not in _REQUESTS), None)
        if other is not None:
            raise HarnessError(
                f"{wanted} of requests, and {other.case.name} is offered otherwise "
                f"({other.model.describe()}); name paths by --get"
            )
        return {load.case.name: load.case for load in loads}


def prepare(
    target: str,
    folder: Path,
    paths: Iterable[str],
    file: Path | None,
    on: tuple[str, ...],
    *,
    headers: tuple[tuple[str, str], ...] = (),
    arguments: Mapping[str, object] | None = None,
    ready_s: float = READY_S,
    tables: Mapping[str, object] | None = None,
    tables_under: tuple[str, str] = ("", ""),
    users: int | None = None,
    spawn_rate: float | None = None,
) -> Own:
    """See what the application is, and learn what it answers.

    headers: sent with each of `paths`. arguments: what its factory is given by name.
    tables: scenarios beside those of `file`, as a TOML file has them; tables_under: the name of
    that file, and what stands there before the name of each. users, spawn_rate: of a locustfile,
    where `file` is one.

    Raises HarnessError with the remedy for whatever of it cannot be measured.
    """
    offered = of_paths(paths, headers)
    given: dict[str, object] = {}
    if file is not None and file.suffix == ".py":
        offered.append(locustfile.scenario_of(file, users or locustfile.USERS, spawn_rate))
    elif users is not None or spawn_rate is not None:
        raise HarnessError(
            "--users and --spawn-rate are of a locustfile, given by --scenarios; in a loads file "
            "each table has its users"
        )
    elif file is not None:
        offered += of_file(file)
        given |= arguments_of(file)
    configuration, under = tables_under
    offered += of_tables(configuration, tables or {}, under)
    given |= arguments or {}
    if not offered:
        raise HarnessError(
            "no request to offer; name one by --get /path, by a table [loads.NAME] in "
            "loopbench.toml, or by a file that --scenarios names"
        )
    unique = {scenario.name: scenario for scenario in offered}
    if len(unique) < len(offered):
        names = [scenario.name for scenario in offered]
        twice = next(name for name in names if names.count(name) > 1)
        raise HarnessError(f"two scenarios are called {twice}; rename one of them")
    loads = [load for scenario in offered for load in scenario.loads if _is_unknown(load)]
    requests, streams = [load.case.request for load in loads], _streams(loads)
    safe = next((request.target for request in requests if request.method == "GET"), "/")
    own = OwnApp(target, str(folder.resolve()), safe, given, ready_s)
    try:
        with telling(f"importing {target}"):
            looks = look_at(own)
        stacks = rows(own, looks, on)
        here = next((stack for stack in stacks.values() if available(stack) is None), None)
        if here is None:
            raise HarnessError("; ".join(f"{s.name}: {available(s)}" for s in stacks.values()))
        begun = time.monotonic()
        with telling(f"asking {target} what it answers, over {len(ASKED)} starts of it"):
            learned = learn(here, requests, streams, looks.hosts)
        around_s = (time.monotonic() - begun) / len(ASKED)
    except (ServerError, ControlError) as error:
        raise HarnessError(str(error)) from error
    scenarios = {name: _expecting(scenario, learned) for name, scenario in unique.items()}
    notes = (*looks.notes, *_redirects(learned), *_differing(learned))
    unread = {load.case.request for load in loads if load.case.expected is STATUS_ALONE}
    described = {
        "target": target,
        "kind": looks.kind,
        "framework": looks.framework,
        "requests": {
            f"{request.method} {request.target}": _described(expected, request in unread)
            for request, expected in learned.items()
        },
        **({"notes": list(notes)} if notes else {}),
    }
    return Own(stacks, scenarios, described, notes, around_s)


def _streams(loads: Iterable[Load]) -> dict[Request, str]:
    """The requests that are answered with events, of which kind. Raises HarnessError for one that
    is offered in two ways."""
    kinds: dict[Request, str | None] = {}
    for load in loads:
        request = load.case.request
        kind = load.model.events if isinstance(load.model, Stream) else None
        if kinds.setdefault(request, kind) != kind:
            raise HarnessError(
                f"{request.method} {request.target} is offered as a stream and otherwise, or as "
                "two kinds of one; choose one of the two"
            )
    return {request: kind for request, kind in kinds.items() if kind is not None}


def _redirects(learned: Mapping[Request, Expected]) -> list[str]:
    return [
        f"{request.method} {request.target} is answered with a redirect, status "
        f"{expected.status}: that answer is measured, and not what it leads to"
        for request, expected in learned.items()
        if 300 <= expected.status < 400 and expected.status != 304
    ]


def _differing(learned: Mapping[Request, Expected]) -> Iterator[str]:
    """What of an answer may be another each time, beside its body."""
    for request, expected in learned.items():
        what = f"{request.method} {request.target}"
        if comparable_type(expected.content_type) != str(expected.content_type):
            yield (
                f"{what} is answered in parts, whose boundary may be another each time: it is "
                "left out where the content type is compared"
            )
        if request.method == "OPTIONS" and expected.allow is not None:
            yield (
                f"{what} is answered with Allow: {expected.allow}; the order of the methods is "
                "not compared"
            )


def _described(expected: Expected, unread: bool) -> Json:
    varies = isinstance(expected.body, re.Pattern)
    status = "status, and that events come" if expected.endless else "status"
    return {
        "status": expected.status,
        "content_type": expected.content_type,
        "body_bytes": None if isinstance(expected.body, re.Pattern) else len(expected.body),
        "checked": status if varies or unread else "status and every byte",
    }


def _expecting(scenario: Scenario, learned: Mapping[Request, Expected]) -> Scenario:
    """The Scenario with the answers that were learned, and a Warning where they vary."""
    return replace(scenario, loads=tuple(_with_expected(load, learned) for load in scenario.loads))


def _is_unknown(load: Load) -> bool:
    """Whether its answer is to be learned: not that to an upgrade, nor those that Locust gets."""
    return load.learned and load.case.expected is not SWITCHED


def _with_expected(load: Load, learned: Mapping[Request, Expected]) -> Load:
    if not _is_unknown(load):
        return load
    codes: tuple[Code, ...] = ()
    expected = learned[load.case.request]
    if load.case.expected is STATUS_ALONE:
        expected = replace(expected, body=ANY_BODY)
    elif not expected.endless:
        codes = (Code.ANSWER_VARIES,) if isinstance(expected.body, re.Pattern) else ()
    return replace(load, case=replace(load.case, expected=expected), codes=codes)
