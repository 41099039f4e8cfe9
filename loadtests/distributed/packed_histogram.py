"""A histogram as one long integer, so that adding two is one addition.

Every bucket has a number, and its count stands in a lane of 64 bits at that place. No sum comes
near 2^64, so that no lane runs over into the next. Merging a thousand workers' histograms bucket
by bucket in Python took some seconds; this way it is work of the interpreter's own C code.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence

from loopbench.loadtests.messages.reports import Buckets, Packed
from loopbench.loadtests.rows.histogram import EXACT_BELOW_US, HIGHEST_US, bounds

_BITS = 64
_BYTES = _BITS // 8
_STEPS = EXACT_BELOW_US // 2
"""Buckets for each doubling above EXACT_BELOW_US."""

_EXPONENT = EXACT_BELOW_US.bit_length() - 1
_HEAD = struct.Struct("<I")


def bucket_number(upper_us: int) -> int:
    """The place of the bucket whose highest value is `upper_us`, from 0 on without a gap."""
    if upper_us < EXACT_BELOW_US:
        return upper_us
    shift = upper_us.bit_length() - _EXPONENT
    return EXACT_BELOW_US + (shift - 1) * _STEPS + (upper_us >> shift) - _STEPS


def bucket_upper(number: int) -> int:
    """The inverse of `bucket_number`."""
    if number < EXACT_BELOW_US:
        return number
    doublings, step = divmod(number - EXACT_BELOW_US, _STEPS)
    shift = doublings + 1
    return ((_STEPS + step + 1) << shift) - 1


LAST = bucket_number(bounds(HIGHEST_US)[1])


def pack(pairs: Iterable[Sequence[int]]) -> Packed:
    """Buckets, [upper_us, count] each, as bytes: the first one's place, then the lanes up to the
    last, little endian, compressed."""
    counts = {bucket_number(upper): count for upper, count in pairs}
    first = min(counts, default=0)
    lanes = array("Q", bytes(_BYTES * (max(counts, default=-1) + 1 - first)))
    for number, count in counts.items():
        lanes[number - first] = count
    if sys.byteorder == "big":
        lanes.byteswap()
    return zlib.compress(_HEAD.pack(first) + lanes.tobytes(), 1)


def unpack(data: Packed) -> int:
    """The lanes of packed buckets as one integer. Raises ValueError for bytes that are none."""
    try:
        raw = zlib.decompress(data)
        (first,) = _HEAD.unpack_from(raw)
    except (zlib.error, TypeError, struct.error) as error:
        raise ValueError(f"not a packed histogram: {error}") from None
    lanes, rest = divmod(len(raw) - _HEAD.size, _BYTES)
    if rest or first + lanes > LAST + 1:
        raise ValueError(f"not a packed histogram: {len(raw)} bytes from lane {first} on")
    counts = int.from_bytes(memoryview(raw)[_HEAD.size :], "little")
    return counts << int(first) * _BITS


def pairs_of(lanes: int) -> Buckets:
    """The buckets that are not empty, ascending."""
    counts = array("Q")
    counts.frombytes(lanes.to_bytes(_BYTES * (LAST + 1), sys.byteorder))
    if sys.byteorder == "big":
        counts.reverse()
    return tuple((bucket_upper(number), count) for number, count in enumerate(counts) if count)
