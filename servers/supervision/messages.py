"""The one codec of everything that processes say to each other: frozen dataclasses as JSON types.

Types are read from the fields' annotations, once a class. It is strict: a key that is missing or
unknown, or a value of another type, raises MessageError with the names of the message and the key.

Understood are dataclasses, also generic ones; str, int, float, bool, None and unions of these;
`X | None`; tuples; mappings with keys of type str; enumerations; bytes, which travel as latin-1
text; `bytes | re.Pattern[bytes]`; Any, for what is JSON already; and `Annotated[X, VOCABULARY]`. A
field's key is its name without the underscore that keeps a Python keyword from being one. A field
that is marked as LATER is left out where it has its default.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import (
    Annotated,
    Any,
    Generic,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

M = TypeVar("M")

Json = dict[str, Any]
"""A JSON object as `json` reads and writes it."""

LATER: Mapping[str, Any] = types.MappingProxyType({"later": True})
"""Metadata of a field that processes of older trees do not know: said only where it is set."""

_SCALARS = (str, int, float, bool, types.NoneType)


class MessageError(ValueError):
    """What came is not the message that it should be."""


@dataclass(frozen=True, slots=True)
class _Codec:
    """How values of one type travel. encode: None where they are JSON types already.

    decode: takes where the value stands, for the error's text, and the value.
    """

    encode: Callable[[Any], Any] | None
    decode: Callable[[str, Any], Any]

    def encoded(self, value: Any) -> Any:
        """As JSON types."""
        return value if self.encode is None else self.encode(value)


def to_json(message: object, kind: Any = None) -> Json:
    """A dataclass as JSON types. kind: its class with its arguments, where that is generic."""
    encoded: Json = _codec(cast(Any, kind or type(message)), strict=True).encoded(message)
    return encoded


def from_json(kind: type[M], values: object) -> M:
    """The inverse of `to_json`. kind: also a generic class with its arguments.

    Raises MessageError.
    """
    return cast(M, _codec(cast(Any, kind), strict=True).decode(_name(kind), values))


def part_from_json(kind: type[M], values: object) -> M:
    """The same of what another version of the suite says: keys that `kind` does not know are left
    out, and those that have a default may be missing. Raises MessageError for all else."""
    return cast(M, _codec(cast(Any, kind), strict=False).decode(_name(kind), values))


class Vocabulary(Generic[M]):
    """Messages that can be told apart by one key, whose value is the class's name in lower case
    and with hyphens, or the name that `kinds` gives it.

    noun: what they are, for errors. key: where the name stands.
    """

    def __init__(self, noun: str, key: str, kinds: Iterable[type[M]] | Mapping[str, type[M]]):
        self.noun = noun
        self.key = key
        self.kinds = (
            dict(kinds)
            if isinstance(kinds, Mapping)
            else {hyphenated(kind.__name__): kind for kind in kinds}
        )
        self._names = {kind: name for name, kind in self.kinds.items()}

    def to_json(self, message: M) -> Json:
        """With its name."""
        return {self.key: self._names[type(message)], **to_json(message)}

    def from_json(self, values: object, *, strict: bool = True) -> M:
        """The inverse. Raises MessageError, for a name that is not known as well.

        strict: False: of another version's, see `part_from_json`.
        """
        rest = dict(_object(self.noun, values))
        name = rest.pop(self.key, None)
        kind = self.kinds.get(name) if isinstance(name, str) else None
        if kind is None:
            raise MessageError(f"unknown {self.noun} {name!r}, known: {sorted(self.kinds)}")
        read = from_json if strict else part_from_json
        return cast(M, read(cast(Any, kind), rest))


class Question(Generic[M]):
    """A command that is answered by an M; its name on the wire is the class's, with hyphens."""

    __slots__ = ()

    @classmethod
    def answer(cls) -> type[M]:
        """M, from the class's own base, which is Question[M]."""
        (question,) = cls.__dict__["__orig_bases__"]
        return cast(type[M], get_args(question)[0])

    def to_json(self) -> Json:
        """With its name."""
        return {"do": hyphenated(type(self).__name__), **to_json(self)}


@dataclass(frozen=True, slots=True)
class Done:
    """The answer to what has nothing to tell."""


def hyphenated(name: str) -> str:
    """`WindowOpened` as `window-opened`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


@cache
def _codec(hint: Any, *, strict: bool) -> _Codec:
    origin = get_origin(hint)
    if origin is Annotated:
        (more,) = hint.__metadata__
        inner = hint.__origin__
        return _told_apart(more) if isinstance(more, Vocabulary) else _codec(inner, strict=strict)
    if origin in (Union, types.UnionType):
        return _union(hint, strict)
    if origin is tuple:
        return _tuple(get_args(hint), strict)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(_codec(get_args(hint)[1], strict=strict))
    kind = origin or hint
    if kind in _SCALARS:
        return _Codec(None, _scalars((kind,)))
    if kind is bytes:
        return _Codec(lambda value: value.decode("latin-1"), _bytes)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _Codec(lambda value: value.value, _enumeration(kind))
    if kind is Any:
        return _Codec(None, lambda where, value: value)
    if is_dataclass(kind):
        return _dataclass(cast(type, kind), _hints(hint), strict)
    raise TypeError(f"no message can hold a {hint!r}")


def _told_apart(vocabulary: Vocabulary[Any]) -> _Codec:
    def decode(where: str, value: Any) -> Any:
        try:
            return vocabulary.from_json(value)
        except MessageError as error:
            raise MessageError(f"{where}: {error}") from error

    return _Codec(vocabulary.to_json, decode)


def _hints(hint: Any) -> Mapping[str, object]:
    """The fields' types, with a generic class's parameters replaced by its arguments."""
    kind = get_origin(hint) or hint
    parameters = getattr(kind, "__parameters__", ())
    given = dict(zip(parameters, get_args(hint), strict=False))

    def filled(field_hint: Any) -> Any:
        if isinstance(field_hint, TypeVar):
            return given[field_hint]
        inner = getattr(field_hint, "__parameters__", ())
        return field_hint[tuple(given[each] for each in inner)] if inner else field_hint

    hints = get_type_hints(kind, include_extras=True)
    return {name: filled(field_hint) for name, field_hint in hints.items()}


@dataclass(frozen=True, slots=True)
class _Field:
    """default: what stands for a key that is missing; MISSING where it may not be."""

    name: str
    codec: _Codec
    default: Any
    later: bool


def _dataclass(kind: type, hints: Mapping[str, object], strict: bool) -> _Codec:
    by_key = {
        declared.name.rstrip("_"): _Field(
            declared.name,
            _codec(hints[declared.name], strict=strict),
            declared.default if declared.default_factory is MISSING else declared.default_factory,
            "later" in declared.metadata,
        )
        for declared in fields(cast(Any, kind))
    }
    needed = [
        key
        for key, field in by_key.items()
        if not field.later and (strict or field.default is MISSING)
    ]

    def encode(value: Any) -> Json:
        values = {}
        for key, field in by_key.items():
            held = getattr(value, field.name)
            if not field.later or held != field.default:
                values[key] = field.codec.encoded(held)
        return values

    def decode(where: str, value: Any) -> Any:
        values = _object(where, value)
        unknown = sorted(values.keys() - by_key.keys())
        if strict and unknown:
            raise MessageError(f"{where}: unknown {', '.join(map(repr, unknown))}")
        missing = [key for key in needed if key not in values]
        if missing:
            raise MessageError(f"{where}: {', '.join(map(repr, missing))} missing")
        return kind(
            **{
                field.name: field.codec.decode(f"{where}.{key}", values[key])
                for key, field in by_key.items()
                if key in values
            }
        )

    return _Codec(encode, decode)


def _union(hint: Any, strict: bool) -> _Codec:
    members = get_args(hint)
    if all(member in _SCALARS for member in members):
        return _Codec(None, _scalars(members))
    if set(members) == {bytes, re.Pattern[bytes]}:
        return _Codec(_encode_pattern, _decode_pattern)
    held = [member for member in members if member is not types.NoneType]
    if len(held) != 1:
        raise TypeError(f"no message can hold a {hint!r}")
    inner = _codec(held[0], strict=strict)
    encode = inner.encode
    return _Codec(
        None if encode is None else lambda value: None if value is None else encode(value),
        lambda where, value: None if value is None else inner.decode(where, value),
    )


def _tuple(members: tuple[Any, ...], strict: bool) -> _Codec:
    any_length = len(members) == 2 and members[1] is Ellipsis
    inner = [_codec(member, strict=strict) for member in (members[:1] if any_length else members)]

    def paired(value: Any) -> Iterable[tuple[_Codec, Any]]:
        return zip(inner * len(value) if any_length else inner, value, strict=True)

    def encode(value: Any) -> list[Any]:
        return [codec.encoded(element) for codec, element in paired(value)]

    def decode(where: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise _wrong(where, value, "a list")
        if not any_length and len(value) != len(inner):
            raise _wrong(where, value, f"a list of {len(inner)}")
        return tuple(codec.decode(where, element) for codec, element in paired(value))

    return _Codec(list if all(codec.encode is None for codec in inner) else encode, decode)


def _mapping(inner: _Codec) -> _Codec:
    def encode(value: Any) -> Json:
        return {key: inner.encoded(element) for key, element in value.items()}

    def decode(where: str, value: Any) -> Json:
        return {
            key: inner.decode(f"{where}[{key}]", element)
            for key, element in _object(where, value).items()
        }

    # Not the mapping itself: it need not be a dict, and may go on changing.
    return _Codec(encode, decode)


def _scalars(kinds: tuple[Any, ...]) -> Callable[[str, Any], Any]:
    taken = {*kinds, int} if float in kinds else set(kinds)
    to_float = float in kinds and int not in kinds
    expected = " or ".join("null" if kind is types.NoneType else kind.__name__ for kind in kinds)

    def decode(where: str, value: Any) -> Any:
        if type(value) not in taken:
            raise _wrong(where, value, expected)
        return float(value) if to_float and type(value) is int else value

    return decode


def _bytes(where: str, value: Any) -> bytes:
    if not isinstance(value, str):
        raise _wrong(where, value, "text")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise MessageError(f"{where}: {error}") from error


def _encode_pattern(value: bytes | re.Pattern[bytes]) -> Any:
    if isinstance(value, re.Pattern):
        return {"pattern": value.pattern.decode("latin-1")}
    return value.decode("latin-1")


def _decode_pattern(where: str, value: Any) -> bytes | re.Pattern[bytes]:
    if isinstance(value, dict) and value.keys() == {"pattern"}:
        return re.compile(_bytes(f"{where}.pattern", value["pattern"]))
    return _bytes(where, value)


def _enumeration(kind: type[Enum]) -> Callable[[str, Any], Enum]:
    def decode(where: str, value: Any) -> Enum:
        try:
            return kind(value)
        except ValueError as error:
            raise MessageError(f"{where}: {error}") from error

    return decode


def _object(where: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _wrong(where, value, "an object")
    return value


def _wrong(where: str, value: object, expected: str) -> MessageError:
    return MessageError(f"{where}: {str(value)[:80]!r} is not {expected}")


def _name(kind: Any) -> str:
    return str((get_origin(kind) or kind).__name__)
