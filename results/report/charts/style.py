"""The rules of pictures' style sheets: the palette's colours, and how their parts look."""

from __future__ import annotations

from pathlib import Path

from loopbench.results.report.looks import PALETTE


def colours(theme: int) -> str:
    """Declarations of the palette's custom properties. theme: 0 light, 1 dark."""
    return "".join(f"--c{place}:{pair[theme]};" for place, pair in enumerate(PALETTE))


RULES = "".join(f".c{place}{{--c:var(--c{place})}}" for place in range(len(PALETTE)))
"""Classes that choose one colour of the palette."""

SHEET = Path(__file__).with_name("picture.css").read_text(encoding="utf-8")
"""How the parts of pictures look. It takes the custom properties --ink, --soft, --rule and --panel
from what the picture stands in."""
