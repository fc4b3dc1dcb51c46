"""The colours, markers and dashes of the figures, as a browser draws them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.report.figures import style
from bench.report.figures.figure import BASELINE

TEXT = ""  # the colour of the text, which the page decides
DOT = 1.4  # pixels of a dash for one point in the figures


def marks(variants: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Of each variant `colour`, `shape` (an SVG path within -1 to 1) and `dash` (pixels)."""
    return {
        name: {
            "colour": TEXT if colour == style.INK else colour,
            "shape": _path(marker),
            "dash": _dash(dashes),
        }
        for name, (colour, marker, dashes) in style.styles(variants).items()
    }


def baseline() -> dict[str, Any]:
    """The same for the GEMM baseline, whose marker is a small dot, and its name."""
    return {"name": BASELINE, "colour": TEXT, "shape": _path("."), "dash": _dash(style.DOTS)}


def _dash(dashes: Any) -> list[float]:
    return [] if dashes == style.SOLID else [round(DOT * length, 2) for length in dashes[1]]


def _path(marker: str) -> str:
    """matplotlib's marker as an SVG path; y points down."""
    from matplotlib.markers import MarkerStyle

    found = MarkerStyle(marker)
    letters = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
    parts = []
    for points, code in found.get_path().transformed(found.get_transform()).iter_segments():
        pairs = " ".join(f"{2 * v:.3g}" for v in (points.reshape(-1, 2) * [1, -1]).ravel())
        letter = letters[int(code)]
        parts.append(letter if letter == "Z" else letter + pairs)
    return "".join(parts)
