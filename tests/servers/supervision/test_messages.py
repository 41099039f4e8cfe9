"""The codec of all messages between processes."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

import pytest

from loopbench.servers.supervision.messages import (
    Json,
    MessageError,
    Vocabulary,
    from_json,
    hyphenated,
    part_from_json,
    to_json,
)

H = TypeVar("H")


class Colour(enum.StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Circle:
    radius: float


@dataclass(frozen=True, slots=True)
class TwoSquares:
    side: int


SHAPES: Vocabulary[Circle | TwoSquares] = Vocabulary("shape", "kind", (Circle, TwoSquares))


@dataclass(frozen=True, slots=True)
class Inner(Generic[H]):
    held: H | None
    several: tuple[H, ...]


@dataclass(frozen=True, slots=True)
class Whole(Generic[H]):
    class_: str
    count: int | None
    flag: bool
    share: float
    pairs: tuple[tuple[int, int], ...]
    body: bytes
    answer: bytes | re.Pattern[bytes]
    colours: Mapping[str, tuple[Colour, ...]]
    inner: Inner[H]
    value: str | int | float | bool | None
    shape: Annotated[Circle | TwoSquares, SHAPES]
    later: int = 7


WHOLE = Whole(
    class_="x",
    count=None,
    flag=True,
    share=0.5,
    pairs=((1, 2), (3, 4)),
    body=bytes(range(256)),
    answer=re.compile(rb"\d+\xff"),
    colours={"all": (Colour.RED,)},
    inner=Inner(b"\xfe", (b"", b"a")),
    value=3.25,
    shape=TwoSquares(2),
)


def through_text(message: Whole[bytes]) -> Json:
    values: Json = json.loads(json.dumps(to_json(message, Whole[bytes])))
    return values


def test_a_message_comes_out_of_json_text_as_it_went_in() -> None:
    """Bytes of every value, patterns, enumerations, pairs, generic parts, and a key that would be
    a keyword."""
    values = through_text(WHOLE)
    assert values["class"] == "x"
    assert values["shape"] == {"kind": "two-squares", "side": 2}
    assert from_json(Whole[bytes], values) == WHOLE


def test_names_on_the_wire_are_those_of_the_classes() -> None:
    """In lower case, with hyphens."""
    assert hyphenated("WindowOpened") == "window-opened"
    assert sorted(SHAPES.kinds) == ["circle", "two-squares"]
    assert SHAPES.from_json(SHAPES.to_json(Circle(1.5))) == Circle(1.5)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"speed": 1}, "Whole: unknown 'speed'"),
        ({"flag": None}, "Whole.flag: 'None' is not bool"),
        ({"flag": 1}, "Whole.flag: '1' is not bool"),
        ({"count": True}, "Whole.count: 'True' is not int or null"),
        ({"count": 1.5}, "Whole.count: '1.5' is not int or null"),
        ({"share": "1"}, "Whole.share: '1' is not float"),
        ({"pairs": [[1, 2, 3]]}, "Whole.pairs: '[1, 2, 3]' is not a list of 2"),
        ({"pairs": [[1, "2"]]}, "Whole.pairs: '2' is not int"),
        ({"pairs": 5}, "Whole.pairs: '5' is not a list"),
        ({"body": "\u0100"}, "Whole.body: 'latin-1' codec can't encode"),
        ({"colours": {"all": ["blue"]}}, "Whole.colours[all]: 'blue' is not a valid Colour"),
        ({"inner": {"held": None}}, "Whole.inner: 'several' missing"),
        ({"inner": []}, "Whole.inner: '[]' is not an object"),
        ({"shape": {"kind": "star"}}, "Whole.shape: unknown shape 'star', known: ['circle'"),
        ({"shape": {"kind": "circle"}}, "Whole.shape: Circle: 'radius' missing"),
        ({"value": []}, "Whole.value: '[]' is not str or int or float or bool or null"),
    ],
)
def test_what_is_not_the_message_is_refused(changes: dict[str, object], why: str) -> None:
    """With the names of the message and the key, whatever it is that is wrong."""
    values = through_text(WHOLE)
    with pytest.raises(MessageError, match=f"^{re.escape(why)}"):
        from_json(Whole[bytes], {**values, **changes})


def test_of_another_version_s_messages_a_part_is_enough() -> None:
    """Keys that are not known are left out, and a default stands for what is not said; a key that
    is needed, and the type of each, are held to as ever."""
    values = through_text(WHOLE)
    del values["later"]
    with pytest.raises(MessageError, match=r"^Whole: 'later' missing"):
        from_json(Whole[bytes], values)
    assert part_from_json(Whole[bytes], {**values, "speed": 1}) == WHOLE
    with pytest.raises(MessageError, match=r"^Whole: 'flag' missing"):
        part_from_json(Whole[bytes], {key: values[key] for key in values if key != "flag"})


def test_a_whole_number_is_a_float_where_one_is_asked_for() -> None:
    """JSON does not tell 2.0 from 2 in every writer."""
    radius = from_json(Circle, {"radius": 2}).radius
    assert (radius, type(radius)) == (2.0, float)


def test_a_type_that_cannot_travel_is_an_error_of_the_class() -> None:
    """Seen when its first message is made."""

    @dataclass(frozen=True, slots=True)
    class Odd:
        held: complex

    with pytest.raises(TypeError, match="no message can hold a <class 'complex'>"):
        to_json(Odd(1j))
