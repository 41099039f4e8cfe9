"""Contrast of two colours, as WCAG 2 defines it."""

from __future__ import annotations


def _channels(colour: str) -> list[float]:
    """From `#rrggbb`, or from `rgb(r, g, b)`."""
    if colour.startswith("#"):
        return [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [int(part) / 255 for part in colour.strip("rgb()").split(",")[:3]]


def luminance(colour: str) -> float:
    """Relative luminance: 0 for black, 1 for white."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _channels(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """1 for the same, 21 for black on white."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
