"""The content of a figure: pure data, without matplotlib. `plots` makes it, `draw` draws it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis import text
from bench.analysis.workload_view import WorkloadView, cell_in_words
from bench.records.workload import Workload

FOLDER = "figures"
BASELINE = "GEMM baseline"
MOST_COLUMNS = 3
LONGEST_NAME = 31  # of a variant; of a longer one the end is left out
MOST_ROWS = 6  # rows of panels in one figure
MOST_PANELS = 24  # panels of one kind in a report
SHORT = {"rnn_tanh": "RNN (tanh)", "rnn_relu": "RNN (relu)"}

Section = Literal["answer", "overview", "sweeps", "learning", "more"]


@dataclass(frozen=True)
class Series:
    """Points of one variant, or of the GEMM baseline.

    `low` and `high` are the ends of their intervals: along x in dots and strips, along y in lines.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()  # empty if there are no intervals
    high: tuple[float, ...] = ()
    note: str = ""  # shown in place of a missing point
    variant: bool = True  # False: it has no colour of its own
    strong: tuple[bool, ...] = ()  # of a strip: whether a point is drawn filled


@dataclass(frozen=True)
class Mark:
    """A labelled point in a panel of lines."""

    x: float
    y: float
    words: str


@dataclass(frozen=True)
class Axis:
    """What an axis shows. Axes of a figure that show the same have one range."""

    name: str
    log: bool = True  # False: it begins at 0
    seconds: bool = False  # its numbers are shown as durations
    ticks: tuple[float, ...] = ()  # the numbers on the axis, if they are few
    at_one: bool = False  # a line marks the ratio 1

    @property
    def words(self) -> str:
        return f"{self.name} (log scale)" if self.log else self.name


RATIO = Axis("ratio to the fastest", at_one=True)


@dataclass(frozen=True)
class Panel:
    """dots: a row per series, its value along x. lines: curves. strip: rows of many series."""

    title: str
    kind: Literal["dots", "lines", "strip"]
    series: tuple[Series, ...]
    x: Axis
    y: Axis | None = None  # of lines alone
    marks: tuple[Mark, ...] = ()
    rows: tuple[str, ...] = ()  # of a strip: what stands left of each row, and right of it
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A grid of panels, row by row; None is an empty place."""

    file: str
    head: str  # shown above the panels
    title: str  # the whole description, for screen readers
    section: Section
    rows: tuple[tuple[Panel | None, ...], ...]

    @property
    def path(self) -> str:
        return f"{FOLDER}/{self.file}"

    @property
    def alt(self) -> str:
        """The title as alternative text, with its brackets escaped."""
        return text.escape_brackets(self.title)

    @property
    def labels(self) -> list[str]:
        """The labels of all series, each once, in order of appearance."""
        return list(dict.fromkeys(s.label for s in self._series))

    @property
    def variants(self) -> list[str]:
        """The labels of the variants."""
        return list(dict.fromkeys(s.label for s in self._series if s.variant))

    @property
    def _series(self) -> list[Series]:
        return [s for row in self.rows for panel in row if panel for s in panel.series]


def names(view: WorkloadView) -> dict[str, str]:
    """The name of each label of a workload in a figure: not escaped."""
    found: dict[str, str] = {}
    for label, m in view.candidates.items():
        found[label] = text.numbered(text.plain(m.variant, LONGEST_NAME), found.values())
    return found


def title_of(view: WorkloadView) -> str:
    """ "RNN (tanh), base+H64": the short title of a panel."""
    return text.plain(", ".join([short_cell(view.workload), *view.also]), 48).replace("\\", "")


def row_title(view: WorkloadView, *, device: bool = False) -> str:
    """ "sentiment LSTM, base+H64, bptt": a workload among those of all tasks."""
    w = view.workload
    parts = [f"{text.plain(w.task, 20)} {title_of(view)}", phase_of(view)]
    parts += [text.plain(w.device, 12)] if device else []
    return text.plain(", ".join(parts), 60)


def short_cell(workload: Workload) -> str:
    return SHORT.get(workload.spec.cell, cell_in_words(workload))


def phase_of(view: WorkloadView) -> str:
    return text.plain(view.workload.phase, 16)


def place(task: str, device: str) -> str:
    return f"{text.plain(task, 30)} on {text.plain(device, 12)}"


def grid_of(views: Iterable[WorkloadView]) -> list[list[WorkloadView | None]]:
    """Rows of workloads that differ only in their phase; the columns are the phases."""
    views = list(views)
    phases = list(dict.fromkeys(view.workload.phase for view in views))[:MOST_COLUMNS]
    rows: dict[tuple[object, ...], dict[str, WorkloadView]] = {}
    for view in views:
        w = view.workload
        same = (w.task, w.label, w.device, w.dtype, w.threads, w.spec.cell)
        rows.setdefault(same, {})[w.phase] = view
    return [[row.get(phase) for phase in phases] for row in rows.values()]


def by_task_and_device(
    views: Iterable[WorkloadView],
) -> list[tuple[str, str, list[WorkloadView]]]:
    groups: dict[tuple[str, str], list[WorkloadView]] = {}
    for view in views:
        groups.setdefault((view.workload.task, view.workload.device), []).append(view)
    return [(task, device, group) for (task, device), group in groups.items()]


def ratio_of(view: WorkloadView, label: str) -> tuple[float, float, float] | None:
    """Ratio to the fastest, and the ends of its interval; None if it was not compared."""
    found = view.comparisons.get(label)
    if found is not None:
        low, high = found.estimate.interval
        ratio = found.estimate.ratio
        return (ratio, low, high) if math.isfinite(high) and low > 0 else (ratio, ratio, ratio)
    return (1.0, 1.0, 1.0) if label == view.fastest and view.comparisons else None


def series_of(label: str, points: Sequence[tuple[float, float]], *, variant: bool = True) -> Series:
    x, y = zip(*points, strict=True)
    return Series(label, tuple(map(float, x)), tuple(map(float, y)), variant=variant)
