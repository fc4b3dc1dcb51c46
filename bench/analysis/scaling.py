"""Sweeps: workloads that differ only in T, B or H, and how their times grow. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis import estimators
from bench.analysis.workload_view import WorkloadView
from bench.records.workload import Workload
from tasks.spec import ModelSpec, OptimizerSpec

FEWEST = 3  # points of a curve
MOST_HALF_WIDTH = 0.5  # of an exponent; a wider interval does not tell sqrt(n) from n, or n from n²
FEW = 8  # workloads; the overview shows all of so few
AXES = {"T": "time steps", "B": "sequences in a batch", "H": "hidden size"}


@dataclass(frozen=True)
class Growth:
    """seconds ~ axis ** exponent, fitted by least squares on logarithms."""

    exponent: float
    half_width: float  # of its 95 % interval, from the distances of the points to the line
    last: float  # exponent between the last two points
    points: int

    def __str__(self) -> str:
        """ "0.97 ± 0.05"; no number where the points tell less than MOST_HALF_WIDTH."""
        if self.half_width > MOST_HALF_WIDTH:
            return f"{self.points} points do not tell"
        return f"{self.exponent:.2f} ± {self.half_width:.2f}"


@dataclass(frozen=True)
class Sweep:
    """Workloads that differ only in one axis, sorted along it."""

    axis: str  # "T", "B" or "H"
    values: tuple[int, ...]
    views: tuple[WorkloadView, ...]

    @property
    def labels(self) -> list[str]:
        """Variants with a time at two points or more."""
        names = dict.fromkeys(label for view in self.views for label in view.ranked)
        return [name for name in names if len(self.points(name)) > 1]

    def points(self, label: str) -> list[tuple[int, float]]:
        """Pairs (value on the axis, median step in seconds)."""
        return [
            (value, view.seconds[label])
            for value, view in zip(self.values, self.views, strict=True)
            if label in view.ranked
        ]

    def baseline(self) -> list[tuple[int, float]]:
        """The same pairs for the GEMM baseline."""
        return [
            (value, estimators.median_seconds(view.baseline))
            for value, view in zip(self.values, self.views, strict=True)
            if view.baseline is not None and view.baseline.round_seconds
        ]

    @property
    def fixed(self) -> dict[str, int]:
        """Each size by its letter, except that of the axis."""
        return {k: v for k, v in _sizes(self.views[0].workload).items() if k != self.axis}

    @property
    def words(self) -> tuple[str, ...]:
        """What else is unusual about them: "bi", "lengths uniform", "sgd"."""
        return _words(self.views[0].workload)


def find(views: Sequence[WorkloadView]) -> list[Sweep]:
    """Every sweep of at least FEWEST workloads, by axis, in the order of the records."""
    found = []
    for axis in AXES:
        groups: dict[tuple[object, ...], dict[int, WorkloadView]] = {}
        for view in views:
            value, rest = _split(view.workload, axis)
            groups.setdefault(rest, {}).setdefault(value, view)
        for points in groups.values():
            if len(points) >= FEWEST:
                values = tuple(sorted(points))
                found.append(Sweep(axis, values, tuple(points[v] for v in values)))
    return found


def first_look(views: Sequence[WorkloadView]) -> list[WorkloadView]:
    """The workloads for the overview: of many, without the points of sweeps.

    Where sweeps meet, their common workload stays; of a single sweep, its middle.
    """
    if len(views) <= FEW:
        return list(views)
    found = find(views)
    times = Counter(id(view) for sweep in found for view in sweep.views)
    kept = {place for place, count in times.items() if count > 1}
    for sweep in found:
        if not kept & {id(view) for view in sweep.views}:
            kept.add(id(sweep.views[len(sweep.views) // 2]))
    return [view for view in views if id(view) not in times.keys() - kept]


def _sizes(workload: Workload) -> dict[str, int]:
    spec = workload.spec
    sizes = {"B": workload.batch, "T": workload.steps}
    return sizes | {"D": spec.input_size, "H": spec.hidden_size, "L": spec.num_layers}


def _split(workload: Workload, axis: str) -> tuple[int, tuple[object, ...]]:
    """The workload's value on `axis`, and everything else that identifies it."""
    sizes = _sizes(workload)
    value = sizes.pop(axis)
    # The model, without the sizes that can be an axis.
    spec: ModelSpec = dataclasses.replace(workload.spec, hidden_size=1)
    optimizer: OptimizerSpec | None = workload.optimizer
    where: tuple[object, ...] = (workload.phase, workload.task, workload.device, workload.dtype)
    where += (workload.threads, workload.inputs, workload.steps_vary)
    return value, (*where, *sizes.items(), spec, optimizer)


def _words(workload: Workload) -> tuple[str, ...]:
    def chosen(option: str) -> bool:
        return bool(workload.given_name) or option in workload.overridden

    words = ["bi"] if workload.spec.bidirectional and chosen("bidirectional") else []
    words += workload.besides
    words += [workload.optimizer.name] if workload.optimizer and chosen("optimizer") else []
    return tuple(words)


def growth(points: Sequence[tuple[int, float]]) -> Growth | None:
    """The growth of (value, seconds) pairs; None for fewer than FEWEST points."""
    if len(points) < FEWEST:
        return None
    from scipy.stats import linregress  # a slow import, and few reports have a sweep

    x, y = np.log(np.array(points, float)).T
    fit = linregress(x, y)
    last = float((y[-1] - y[-2]) / (x[-1] - x[-2]))
    half_width = estimators.quantile(len(points) - 2) * float(fit.stderr)
    return Growth(float(fit.slope), half_width, last, len(points))
