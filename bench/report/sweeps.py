"""Cells that differ in T, B or H alone: curves, and how fast they grow. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from bench import statistics
from bench.record import Measurement
from bench.report import text
from bench.report.cells import Cell, kind

FEWEST = 3  # points of a curve
FEW = 8  # cells, all of which are shown first
_NUMBER = re.compile(r"[A-Z]\d+|threads\d+")
AXES = {"T": "time steps", "B": "sequences in a batch", "H": "hidden size"}


@dataclass(frozen=True)
class Growth:
    """seconds ~ axis ** exponent, fitted by least squares on logarithms."""

    exponent: float
    half_width: float  # of its 95 % interval, from how far the points are off the line
    last: float  # exponent between the last two points


@dataclass(frozen=True)
class Sweep:
    """Cells along one axis, in its order; everything else in them is the same."""

    axis: str  # "T", "B" or "H"
    values: tuple[int, ...]
    cells: tuple[Cell, ...]

    @property
    def labels(self) -> list[str]:
        """Variants with a time at two points or more."""
        names = dict.fromkeys(label for cell in self.cells for label in cell.ranked)
        return [name for name in names if len(self.points(name)) > 1]

    def points(self, label: str) -> list[tuple[int, float]]:
        """(value of the axis, seconds of the median step)."""
        return [
            (value, cell.seconds[label])
            for value, cell in zip(self.values, self.cells, strict=True)
            if label in cell.ranked
        ]

    def floor(self) -> list[tuple[int, float]]:
        """(value, seconds) of the bare matrix products."""
        return [
            (value, statistics.median_seconds(cell.floor))
            for value, cell in zip(self.values, self.cells, strict=True)
            if cell.floor is not None and cell.floor.round_seconds
        ]

    @property
    def fixed(self) -> dict[str, Any]:
        """By its letter, each size but that of the axis."""
        m = self.cells[0].any
        sizes = {
            "B": m.batch,
            "T": m.steps,
            "D": m.spec["input_size"],
            "H": m.spec["hidden_size"],
            "L": m.spec.get("num_layers", 1),
        }
        return {letter: size for letter, size in sizes.items() if letter != self.axis}

    @property
    def words(self) -> tuple[str, ...]:
        return _words(self.cells[0].any)

    @property
    def title(self) -> str:
        """ "sentiment LSTM, bptt, cpu, float32: T 16 to 1024 at B 64, D 64, H 128"; escaped."""
        m = self.cells[0].any
        parts = [f"{letter} {text.escape(size)}" for letter, size in self.fixed.items()]
        fixed = ", ".join([*parts, *map(text.escape, self.words)])
        where = f"{text.escape(m.task)} {kind(m)}, {text.escape(m.phase)}"
        where += f", {text.escape(m.device)}, {text.escape(m.dtype)}"
        where += f", {text.plural(m.threads, 'thread')}"
        return f"{where}: {self.axis} {self.values[0]} to {self.values[-1]} at {fixed}"


def find(cells: Sequence[Cell]) -> list[Sweep]:
    """Every sweep of FEWEST cells or more, by axis, in the order of the records."""
    found = []
    for axis in AXES:
        groups: dict[tuple[Any, ...], dict[int, Cell]] = {}
        for cell in cells:
            value, rest = _split(cell, axis)
            groups.setdefault(rest, {}).setdefault(value, cell)
        for points in groups.values():
            if len(points) >= FEWEST:
                values = tuple(sorted(points))
                found.append(Sweep(axis, values, tuple(points[v] for v in values)))
    return found


def base_cells(cells: Sequence[Cell]) -> list[Cell]:
    """The cells that are worth a first look: without the points of curves, where there are many.

    Of a curve there stays the cell where it meets another one; of a single curve, its middle.
    """
    if len(cells) <= FEW:
        return list(cells)
    found = find(cells)
    times = Counter(id(cell) for sweep in found for cell in sweep.cells)
    kept = {place for place, count in times.items() if count > 1}
    for sweep in found:
        if not kept & {id(cell) for cell in sweep.cells}:
            kept.add(id(sweep.cells[len(sweep.cells) // 2]))
    return [cell for cell in cells if id(cell) not in times.keys() - kept]


def _split(cell: Cell, axis: str) -> tuple[int, tuple[Any, ...]]:
    """The cell's value on `axis`, and all else that it is."""
    m = cell.any
    hidden = m.spec.get("hidden_size")
    sizes = {"T": m.steps, "B": m.batch, "H": hidden if isinstance(hidden, int) else 0}
    value = sizes.pop(axis)
    spec = sorted((k, repr(v)) for k, v in m.spec.items() if k != "hidden_size")
    rest = (m.phase, m.task, m.device, m.dtype, m.threads, *sizes.items(), _words(m), *spec)
    return value, rest


def _words(m: Measurement) -> tuple[str, ...]:
    """What the size's label says beside numbers: "sgd", "bi". Not all of it is in the spec."""
    return tuple(part for part in m.size.split("+")[1:] if not _NUMBER.fullmatch(part))


def growth(points: Sequence[tuple[int, float]]) -> Growth | None:
    """Of (value, seconds); None with fewer than FEWEST points."""
    if len(points) < FEWEST:
        return None
    x, y = np.log(np.array(points, float)).T
    centred = x - x.mean()
    exponent = float(centred @ y / (centred @ centred))
    off = y - y.mean() - exponent * centred
    freedom = len(points) - 2
    error = math.sqrt(float(off @ off) / freedom / float(centred @ centred))
    last = float((y[-1] - y[-2]) / (x[-1] - x[-2]))
    return Growth(exponent, float(stdtrit(freedom, 0.975)) * error, last)


def table(sweep: Sweep) -> str:
    """Median steps by the axis, and the exponents under them; the floor is the last column."""
    columns = {label: dict(sweep.points(label)) for label in sweep.labels}
    if floor := sweep.floor():
        columns["GEMM floor"] = dict(floor)
    if not columns:
        return "No variant has a time at two points or more."
    rows = [
        [str(value), *(_time(points.get(value)) for points in columns.values())]
        for value in sweep.values
    ]
    fits = [growth(list(points.items())) for points in columns.values()]
    rows.append(
        ["exponent", *(f"{g.exponent:.2f} ± {g.half_width:.2f}" if g else "" for g in fits)]
    )
    rows.append(["at the end", *(f"{g.last:.2f}" if g else "" for g in fits)])
    return text.table([sweep.axis, *columns], rows, right=range(len(columns) + 1))


def _time(seconds: float | None) -> str:
    return "" if seconds is None else text.duration(seconds)
