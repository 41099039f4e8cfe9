"""`loopbench.toml`, or `[tool.loopbench]` of pyproject.toml: options of `bench` that stay.

Every option has its key, named as on the command line, which goes before the file. Beside the
options stand `[arguments]` and the loads, a table `[loads.NAME]` each: see
`scenarios.custom.loads_file`.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

FILE = "loopbench.toml"
_PYPROJECT, _TOOL = "pyproject.toml", ("tool", "loopbench")
_META = "loopbench.configuration"
_LOADS, _ARGUMENTS = "loads", "arguments"
_OWN = (
    "app",
    "app-dir",
    "on",
    "get",
    "scenarios",
    "header",
    "arg",
    "ready-s",
    "users",
    "spawn-rate",
)
_THE_SUITES = re.compile(r"--(stack|scenario|case)(=|$)")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a file says, in the table of it that `path` leads to. options: by the name on the
    command line, without its dashes."""

    file: Path | None = None
    path: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)
    loads: Mapping[str, object] = field(default_factory=dict)
    arguments: Mapping[str, object] = field(default_factory=dict)

    def loads_under(self) -> tuple[str, str]:
        """The name of the file, and what a load's table is called there before its own name."""
        return self.file.name if self.file else FILE, ".".join((*self.path, _LOADS, ""))

    def words(self) -> list[str]:
        """The options as words of a command line."""
        words: list[str] = []
        for name, value in self.options.items():
            if value is True or value is False:
                words += [f"--{name}" if value else f"--no-{name}"]
            else:
                values = value if isinstance(value, list) else [value]
                words += [word for entry in values for word in (f"--{name}", str(entry))]
        return words


def read(folder: Path) -> Configuration:
    """What is configured in a folder; nothing where it has no such file.

    Raises click.UsageError with file and line for what cannot be read, is no TOML, or no table.
    """
    for name, path in ((FILE, ()), (_PYPROJECT, _TOOL)):
        file = folder / name
        if not file.is_file():
            continue
        try:
            table: Any = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise click.UsageError(f"cannot read {name}: {error.strerror}") from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise click.UsageError(f"{name} is no TOML: {error}") from error
        for depth, part in enumerate(path, 1):
            table = table.get(part, {})
            _expect_table(name, ".".join(path[:depth]), table)
        if table:
            return _of(file, path, table)
    return Configuration()


def _of(file: Path, path: tuple[str, ...], table: Mapping[str, object]) -> Configuration:
    options = dict(table)
    loads, arguments = (
        _expect_table(file.name, name, options.pop(name, {})) for name in (_LOADS, _ARGUMENTS)
    )
    return Configuration(file, path, options, loads, arguments)


def _expect_table(file: str, name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise click.UsageError(f"{file}: {name} must be a table")
    return value


def in_force() -> Configuration:
    """That of the command that is being carried out."""
    configuration: Configuration = click.get_current_context().meta.get(_META, Configuration())
    return configuration


class Configured(click.Command):
    """A command whose options have defaults in the configuration of the current folder."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with what is configured as defaults. Raises click.UsageError for a key
        that no option has."""
        configuration = read(Path.cwd())
        if any(map(_THE_SUITES.match, args)):  # the suite's own servers are meant
            options = {
                name: value for name, value in configuration.options.items() if name not in _OWN
            }
            configuration = Configuration(configuration.file, configuration.path, options)
        ctx.meta[_META] = configuration
        ctx.default_map = {**(ctx.default_map or {}), **self._defaults(configuration)}
        return super().parse_args(ctx, args)

    def _defaults(self, configuration: Configuration) -> dict[str, object]:
        known: dict[str, click.Option] = {
            name.removeprefix("--"): option
            for option in self.params
            if isinstance(option, click.Option)
            for name in option.opts
            if name.startswith("--")
        }
        defaults: dict[str, object] = {}
        for name, value in configuration.options.items():
            option = known.get(name)
            assert configuration.file is not None
            if option is None or option.name is None:
                near = difflib.get_close_matches(name, [*known, _LOADS, _ARGUMENTS], 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise click.UsageError(
                    f"{configuration.file.name}: no option of bench is {name!r}{hint}"
                )
            defaults[option.name] = _default(f"{configuration.file.name}: {name}", option, value)
        return defaults


class NamedApplication(Configured):
    """A command about one's own application, or the suite's servers, that has few of the options of
    `bench`: of these the configuration gives those that name the application, and the others are
    not its business."""

    def _defaults(self, configuration: Configuration) -> dict[str, object]:
        has = {name.removeprefix("--") for option in self.params for name in option.opts}
        options = {
            name: configuration.options[name]
            for name in _OWN
            if name in configuration.options.keys() & has
        }
        return super()._defaults(replace(configuration, options=options))


def _default(where: str, option: click.Option, value: object) -> bool | str | list[str]:
    """A value as the command line would have it: what it means there is for the option to say."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise click.UsageError(f"{where} must be true or false")
        return value
    words = [_word(where, entry) for entry in (value if isinstance(value, list) else [value])]
    if option.multiple:
        return words
    if isinstance(value, list):
        raise click.UsageError(f"{where} must be one value")
    return words[0]


def _word(where: str, value: object) -> str:
    number_or_text = isinstance(value, int | float | str) and not isinstance(value, bool)
    if not number_or_text or "\0" in str(value):
        raise click.UsageError(f"{where} must be a number or a text")
    return str(value)
