"""Which figures a report has, and what those of dots are made of. Pure data, without matplotlib.

Their number is limited, so that even a large report is made in seconds. `curves` makes the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.analysis import memory, scaling, text
from bench.analysis.workload_view import FINE, NOT_RUN, WorkloadView, verdict
from bench.records.schema import Measurement, Run
from bench.report.figures import curves, learning
from bench.report.figures.figure import (
    MOST_PANELS,
    MOST_ROWS,
    RATIO,
    Axis,
    Figure,
    Panel,
    Section,
    Series,
    by_task_and_device,
    grid_of,
    names,
    phase_of,
    place,
    ratio_of,
    row_title,
    title_of,
)
from bench.report.markdown import overview

MOST_WORKLOADS = 40  # rows of the answer
MOST_NAMED = 2  # variants of a first rank that a row names


def of_run(run: Run, views: Sequence[WorkloadView]) -> list[Figure]:
    """Every figure of a report; none if nothing was timed."""
    timed = [view for view in views if view.ranked]
    single = scaling.first_look(timed)
    answer = [] if run.serial else _answer(single)
    ratios = [] if run.serial else _ratios(single, "overview" if answer else "answer")
    figures = [*answer, *ratios]
    figures += curves.sweeps(scaling.find(timed)) + learning.figures(timed)
    figures += curves.totals(single) + _memory(single) + _devices(timed)
    return figures + curves.gradients(single)


def _answer(views: Sequence[WorkloadView]) -> list[Figure]:
    """One figure: every workload in a row, every variant at its ratio. Not of a single workload."""
    rows = [
        view
        for device in overview.by_device(views).values()
        for group in overview.by_task(device).values()
        for view in group
        if view.comparisons
    ]
    if len(rows) < 2:
        return []
    shown = rows[:MOST_WORKLOADS]
    devices = len({view.workload.device for view in rows}) > 1
    panel = Panel(
        "",
        "strip",
        tuple(_strip(shown)),
        RATIO,
        rows=tuple(row_title(view, device=devices) for view in shown),
        beside=tuple(map(_first, shown)),
    )
    of = f"the first {len(shown)} of {len(rows)}" if len(shown) < len(rows) else str(len(rows))
    title = (
        f"Step times of every variant in {of} workloads, relative to the fastest variant of each; "
        "filled markers share the first rank"
    )
    head = "step time relative to the fastest variant; filled markers share the first rank"
    return [Figure("answer.svg", head, title, "answer", ((panel,),))]


def _strip(views: Sequence[WorkloadView]) -> list[Series]:
    """One series per variant: its ratio in each workload, by the workload's row."""
    points: dict[str, list[tuple[float, float, float, float, bool]]] = {}
    for row, view in enumerate(views):
        for label, name in names(view).items():
            if (found := ratio_of(view, label)) is not None:
                ratio, low, high = found
                at = (ratio, float(row), low, high, label in view.first)
                points.setdefault(name, []).append(at)
    return [
        Series(name, x, y, low, high, strong=strong)
        for name, found in points.items()
        for x, y, low, high, strong in [zip(*found, strict=True)]
    ]


def _first(view: WorkloadView) -> str:
    """ "jax and 2 more, 56.7 µs": who shares the first rank, the fastest one's step, who failed."""
    called = names(view)
    first = [called[label] for label in view.first]
    if len(first) > MOST_NAMED:
        first = [first[0], f"{len(first) - 1} more"]
    words = [text.joined(first) or "undecided"]
    if view.fastest is not None:
        words.append(text.duration(view.seconds[view.fastest]))
    wrong = [called[label] for label in view.order if verdict(view.candidates[label]) not in FINE]
    return ", ".join(words + [f"✗ {name}" for name in wrong[:1]])


def _per_place(
    views: Sequence[WorkloadView],
    file: str,
    words: tuple[str, str],
    section: Section,
    make: Callable[[WorkloadView], Panel],
) -> list[Figure]:
    """One figure per task and device, with a panel per workload; `words` for its head and title."""
    figures: list[Figure] = []
    panels = 0
    for task, device, group in by_task_and_device(views):
        grid = [row for row in grid_of(group) if any(row)][:MOST_ROWS]
        if panels + sum(map(len, grid)) > MOST_PANELS:
            break
        panels += sum(map(len, grid))
        head, title = (f"{place(task, device)}: {each}" for each in words)
        rows = tuple(tuple(make(view) if view else None for view in row) for row in grid)
        figures.append(Figure(f"{file}-{len(figures) + 1}.svg", head, title, section, rows))
    return figures


def _ratios(views: Sequence[WorkloadView], section: Section) -> list[Figure]:
    """Ratios to the fastest with their intervals, where there are any."""
    views = [view for view in views if view.comparisons] or views
    title = "step time relative to the fastest variant, with 95 % intervals"
    return _per_place(views, "ratios", (title, title), section, _ratio_panel)


def _ratio_panel(view: WorkloadView) -> Panel:
    series = []
    for label, name in names(view).items():
        m, found = view.candidates[label], view.comparisons.get(label)
        if found is not None:
            low, high = found.estimate.interval
            bounds = ((low,), (high,)) if np.isfinite(high) and low > 0 else ((), ())
            series.append(Series(name, (found.estimate.ratio,), (), *bounds))
        elif label == view.fastest:
            series.append(Series(name, (1.0,), ()))
        elif m.status not in NOT_RUN or len(view.candidates) > 1:
            word = verdict(m) if label not in view.ranked else "unpaired"
            series.append(Series(name, (), (), note=word))
    return Panel(f"{phase_of(view)}, {title_of(view)}", "dots", tuple(series), RATIO)


def _memory(views: Sequence[WorkloadView]) -> list[Figure]:
    """Peak memory above the imports."""
    counted = [view for view in views if any(_mebibytes(view.candidates[n]) for n in view.ranked)]
    head = "peak memory above the imports; the need lies at the marker, or within the bar"
    title = "peak memory of each variant above what it held after its imports, in MiB"
    return _per_place(counted, "memory", (head, title), "more", _memory_panel)


def _mebibytes(m: Measurement) -> tuple[float, float] | None:
    """Smallest and largest need in MiB: of the device if it has memory of its own."""
    device = memory.on_device(m)
    found = (
        memory.on_host(m) if m.workload.device == "cpu" else (device, device) if device else None
    )
    return (found[0] / 2**20, found[1] / 2**20) if found is not None and found[1] > 0 else None


def _memory_panel(view: WorkloadView) -> Panel:
    """A marker where one number is known, a bar where two numbers bound the need."""
    series = []
    for label, name in names(view).items():
        found = _mebibytes(view.candidates[label]) if label in view.ranked else None
        if found is None:
            m = view.candidates[label]
            word = "not counted" if label in view.ranked else verdict(m)
            series.append(Series(name, (), (), note=word))
        elif found[0] == found[1]:
            series.append(Series(name, (found[1],), ()))
        else:
            series.append(Series(name, (), (), (found[0],), (found[1],)))
    axis = Axis("MiB above the imports", log=False)
    return Panel(f"{phase_of(view)}, {title_of(view)}", "dots", tuple(series), axis)


def _devices(views: Sequence[WorkloadView]) -> list[Figure]:
    """One figure: the step time of a variant on the CPU, divided by that on another device."""
    places: dict[tuple[object, ...], dict[str, WorkloadView]] = {}
    for view in views:
        w = view.workload
        same = (w.phase, w.task, w.label, w.dtype, w.spec.cell)
        places.setdefault(same, {})[w.device] = view
    panels = []
    for found in places.values():
        host = found.get("cpu")
        for device, view in found.items():
            if host is not None and device != "cpu" and set(host.ranked) & set(view.ranked):
                panels.append(_device_panel(host, view))
    rows = tuple((panel,) for panel in panels[:MOST_ROWS])
    title = "Step time of each variant on the CPU, divided by that on the GPU"
    return [Figure("devices.svg", "CPU against GPU", title, "more", rows)] if rows else []


def _device_panel(host: WorkloadView, other: WorkloadView) -> Panel:
    called = names(other)
    series = [
        Series(called[label], (host.seconds[label] / other.seconds[label],), ())
        for label in other.ranked
        if label in host.ranked
    ]
    task, device = text.plain(other.workload.task, 24), text.plain(other.workload.device, 12)
    title = f"{phase_of(other)}, {task} {title_of(other)}"
    axis = Axis(f"time on cpu / time on {device}", at_one=True)
    return Panel(title, "dots", tuple(series), axis)
