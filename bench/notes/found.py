"""What an experiment found over several seeds, beside what its note prints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.report.figures.figure import Figure, Series


@dataclass(frozen=True)
class Row:
    """One number of an experiment: that of the note, and ours by series, one a seed."""

    what: str
    printed: float | None  # None: the note says it in words alone
    ours: dict[str, tuple[float, ...]]  # by the name of the series; the first is the note's own net

    @property
    def inside(self) -> bool:
        """Whether the printed number lies between the smallest and the largest of our seeds."""
        own = next(iter(self.ours.values()))
        return self.printed is not None and min(own) <= self.printed <= max(own)

    @property
    def below(self) -> int:
        """How many of our seeds lie below the printed number."""
        own = next(iter(self.ours.values()))
        return sum(value < (self.printed or 0.0) for value in own)


@dataclass(frozen=True)
class Text:
    """What a net wrote, or what the note prints."""

    whose: str
    words: str


@dataclass(frozen=True)
class Found:
    """What one experiment found."""

    name: str
    seeds: int
    rows: tuple[Row, ...]
    texts: tuple[Text, ...] = ()
    figure: Figure | None = None

    @property
    def outside(self) -> list[Row]:
        """The numbers of the note that none of our seeds reach."""
        return [row for row in self.rows if row.printed is not None and not row.inside]


def median_and_ends(values: tuple[float, ...]) -> tuple[float, float, float]:
    """Median, smallest and largest."""
    return float(np.median(values)), min(values), max(values)


def banded(name: str, x: list[float], y: np.ndarray) -> Series:
    """The median over the seeds, y (seeds, points), between the smallest and the largest."""
    return Series(
        name,
        tuple(x),
        tuple(map(float, np.median(y, axis=0))),
        tuple(map(float, y.min(axis=0))),
        tuple(map(float, y.max(axis=0))),
    )
