"""The style of figures: a variant has one colour, marker and dash in all figures of a report."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.report.figures.figure import BASELINE, Figure

INK = "#010203"  # placeholder for the colour of the text, which the page decides
MARKERS = "osD^vPX<>dph*8"
SOLID: Any = "-"
DASHES: tuple[Any, ...] = (SOLID, (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
DOTS: Any = (0, (1, 1))

Style = tuple[str, str, Any]  # colour, marker, dashes
Styles = dict[str, Style]  # by label

SETTINGS = {
    "svg.hashsalt": "rnnbench",
    "svg.fonttype": "path",  # letters look and measure the same everywhere
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9.0,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.titlesize": 9.0,
    "axes.titlepad": 4.0,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.6,
    "path.simplify": False,
}


@cache
def _palette() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "palette.toml").read_text(encoding="utf-8"))


def styles(labels: Iterable[str]) -> Styles:
    """One style per variant: the palette's colour; no two share both marker and dashes."""
    known: dict[str, str] = _palette()["variants"]
    others: list[str] = _palette()["others"]
    slots = list(known)
    found: Styles = {}
    unknown = 0
    for label in labels:
        family = max((n for n in known if _continues(label, n)), key=len, default="")
        if family:
            colour, slot = known[family], slots.index(family)
        else:
            colour, slot = others[unknown % len(others)], len(slots) + unknown
            unknown += 1
        colour = INK if colour == "text" else colour
        relatives = sum(1 for one in found.values() if one[0] == colour)
        marker = MARKERS[(slot + 5 * relatives) % len(MARKERS)]
        found[label] = (colour, marker, DASHES[(slot + relatives) % len(DASHES)])
    return found


def of_report(figures: Sequence[Figure]) -> Styles:
    """The styles of all variants that a report draws."""
    return styles(dict.fromkeys(label for figure in figures for label in figure.variants))


def of_figure(figure: Figure, variants: Styles) -> Styles:
    """The same plus the other series: in the colour of the text, no two alike."""
    others = [label for label in figure.labels if label not in figure.variants]
    markers = ("", *MARKERS)
    plain = {
        label: (INK, markers[n // len(DASHES) % len(markers)], DASHES[n % len(DASHES)])
        for n, label in enumerate(others)
    }
    return {**variants, **plain, BASELINE: (INK, "", DOTS)}


def _continues(label: str, name: str) -> bool:
    return label == name or label.startswith((f"{name}-", f"{name}@", f"{name} ("))


def shown(words: str) -> str:
    """The words, with a box for each letter that the font lacks, and for what is no letter."""
    letters = _letters()
    return "".join(
        c if c == "\n" or (ord(c) in letters and unicodedata.category(c) not in _NO_LETTERS)
        else "\u25a1"
        for c in words
    )  # fmt: skip


_NO_LETTERS = ("Cc", "Cf", "Cs")  # controls, direction marks, lone surrogates


@cache
def _letters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap())
