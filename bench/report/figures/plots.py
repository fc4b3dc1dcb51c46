"""Which figures a report has, and what each is made of. Pure data, without matplotlib.

Their number is limited, so that even a large report is made in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.analysis import break_even, memory, scaling, text
from bench.analysis.workload_view import NOT_RUN, WorkloadView, verdict
from bench.records.schema import Measurement, Run
from bench.report.figures import learning
from bench.report.figures.figure import (
    BASELINE,
    Figure,
    Mark,
    Panel,
    Series,
    by_task_and_device,
    grid_of,
    names,
    phase_of,
    place,
    series_of,
    short_cell,
    title_of,
)
from tasks.spec import parameter_count

MOST_ROWS = 6  # rows of panels in one figure
MOST_PANELS, MOST_CURVES = 24, 16  # panels of one kind in a report
CURVE_POINTS = 40


def of_run(run: Run, views: Sequence[WorkloadView]) -> list[Figure]:
    """Every figure of a report; none if nothing was timed."""
    timed = [view for view in views if view.ranked]
    single = scaling.first_look(timed)
    figures = [] if run.serial else _ratios(single)
    figures += _curves(scaling.find(timed)) + learning.figures(timed)
    figures += _totals(single) + _memory(single) + _devices(timed)
    return figures + _gradients(timed)


def _ratios(views: Sequence[WorkloadView]) -> list[Figure]:
    """One figure per task and device: ratios to the fastest with their intervals."""
    figures: list[Figure] = []
    panels = 0
    for task, device, group in by_task_and_device(views):
        grid = [row for row in grid_of(group) if any(row)][:MOST_ROWS]
        if panels + sum(map(len, grid)) > MOST_PANELS:
            break
        panels += sum(map(len, grid))
        figures.append(
            Figure(
                f"ratios-{len(figures) + 1}.svg",
                f"{place(task, device)}: ratio to the fastest",
                f"{place(task, device)}: step time relative to the fastest variant, with 95 % "
                "intervals",
                "overview",
                tuple(tuple(_ratio_panel(view) if view else None for view in row) for row in grid),
            )
        )
    return figures


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
    return Panel(
        f"{phase_of(view)}, {title_of(view)}",
        "dots",
        tuple(series),
        "",
        at_one=True,
    )


def _curves(found: Sequence[scaling.Sweep]) -> list[Figure]:
    """One figure per axis and task: step time on logarithmic axes, with the GEMM baseline."""
    groups: dict[tuple[str, str, str], list[scaling.Sweep]] = {}
    for sweep in [sweep for sweep in found if sweep.labels][:MOST_CURVES]:
        workload = sweep.views[0].workload
        groups.setdefault((sweep.axis, workload.task, workload.device), []).append(sweep)
    figures: list[Figure] = []
    for (axis, task, device), group in groups.items():
        by_first = {id(sweep.views[0]): sweep for sweep in group}
        differing = _differing(group)
        grid = grid_of(sweep.views[0] for sweep in group)[:MOST_ROWS]
        figures.append(
            Figure(
                f"sweep-{axis}-{len(figures) + 1}.svg",
                f"{place(task, device)}: seconds per step against {axis}",
                f"{place(task, device)}: step time against {axis}, {scaling.AXES[axis]}",
                "sweeps",
                tuple(
                    tuple(
                        _curve_panel(by_first[id(view)], differing) if view else None
                        for view in row
                    )
                    for row in grid
                ),
            )
        )
    return figures


def _differing(group: Sequence[scaling.Sweep]) -> list[str]:
    """The letters of the sizes in which these sweeps differ, except their axis."""
    return [
        letter for letter in group[0].fixed if len({sweep.fixed[letter] for sweep in group}) > 1
    ]


def _curve_panel(sweep: scaling.Sweep, differing: Sequence[str]) -> Panel:
    first = sweep.views[0]
    called = {label: name for view in sweep.views for label, name in names(view).items()}
    series = [series_of(called[label], sweep.points(label)) for label in sweep.labels]
    if baseline := sweep.baseline():
        series.append(series_of(BASELINE, baseline, variant=False))
    sizes = [f"{letter} {sweep.fixed[letter]}" for letter in differing]
    words = [text.plain(word, 12) for word in sweep.words]
    title = ", ".join([phase_of(first), short_cell(first.workload), *sizes, *words])
    return Panel(title, "lines", tuple(series), sweep.axis, x_ticks=tuple(map(float, sweep.values)))


def _totals(views: Sequence[WorkloadView]) -> list[Figure]:
    """One figure per task: total time against the number of steps, cold start included."""
    figures: list[Figure] = []
    for task, device, group in by_task_and_device(views):
        chosen = [view for view in group if len(view.ranked) > 1][:MOST_ROWS]
        if not chosen or len(figures) * 2 >= MOST_ROWS:
            continue
        grid = [row for row in grid_of(chosen) if any(row)][:1]
        figures.append(
            Figure(
                f"total-{len(figures) + 1}.svg",
                f"{place(task, device)}: total seconds, cold start included",
                f"{place(task, device)}: seconds since the start of the interpreter, against the "
                "number of steps; circles mark where another variant gets ahead",
                "more",
                tuple(tuple(_total_panel(view) if view else None for view in row) for row in grid),
            )
        )
    return figures


def _total_panel(view: WorkloadView) -> Panel:
    called, last = names(view), break_even.reach(view)
    steps = np.unique(np.geomspace(1, last, CURVE_POINTS).round())
    series = [
        series_of(called[time.label], [(float(n), time.of(float(n))) for n in steps])
        for time in break_even.total_times(view)
    ]
    marks = tuple(
        Mark(float(b.steps), b.after.of(b.steps), f"{called[b.after.label]} from {b.steps:,}")
        for b in break_even.break_evens(view)
    )
    return Panel(
        f"{phase_of(view)}, {title_of(view)}", "lines", tuple(series), "steps", marks=marks
    )


def _memory(views: Sequence[WorkloadView]) -> list[Figure]:
    """One figure: peak memory above the imports, of the largest model of each task and device."""
    counted = [view for view in views if any(_mebibytes(view.candidates[n]) for n in view.ranked)]
    largest: dict[tuple[str, str], tuple[int, list[WorkloadView | None]]] = {}
    for row in grid_of(counted):
        workload = next((view.workload for view in row if view), None)
        if workload is None:
            continue
        count, where = parameter_count(workload.spec), (workload.task, workload.device)
        if where not in largest or largest[where][0] < count:
            largest[where] = (count, row)
    grid = [row for _, row in largest.values()][: MOST_ROWS // 2]
    if not grid:
        return []
    rows = tuple(tuple(_memory_panel(view) if view else None for view in row) for row in grid)
    return [
        Figure(
            "memory.svg",
            "peak memory above the imports",
            "Peak memory of each variant above what it held after its imports, in MiB, for the "
            "model with the most parameters of each task",
            "more",
            rows,
        )
    ]


def _mebibytes(m: Measurement) -> tuple[float, float] | None:
    """Smallest and largest need in MiB: of the device if it has memory of its own."""
    device = memory.on_device(m)
    found = (
        memory.on_host(m) if m.workload.device == "cpu" else (device, device) if device else None
    )
    return (found[0] / 2**20, found[1] / 2**20) if found is not None and found[1] > 0 else None


def _memory_panel(view: WorkloadView) -> Panel:
    series = []
    for label, name in names(view).items():
        found = _mebibytes(view.candidates[label]) if label in view.ranked else None
        if found is None:
            series.append(Series(name, (), (), note="-"))
            continue
        low, high = found
        ends = ((), ()) if low == high else ((max(low, min(1.0, high)),), (high,))
        series.append(Series(name, (high,), (), *ends))
    return Panel(
        f"{phase_of(view)}, {text.plain(view.workload.task, 24)} {title_of(view)}",
        "dots",
        tuple(series),
        "MiB",
    )


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
        Series(
            called[label],
            (host.seconds[label] / other.seconds[label],),
            (),
        )
        for label in other.ranked
        if label in host.ranked
    ]
    task, device = text.plain(other.workload.task, 24), text.plain(other.workload.device, 12)
    title = f"{phase_of(other)}, {task} {title_of(other)}"
    words = f"time on cpu / time on {device}"
    return Panel(title, "dots", tuple(series), words, at_one=True)


def _gradients(views: Sequence[WorkloadView]) -> list[Figure]:
    """One figure: a panel per task, a curve per cell, from its first workload with norms."""
    curves: dict[str, dict[str, Series]] = {}
    for view in views:
        norms = view.record.gradient_norms if view.record else ()
        if not norms or len(curves) > MOST_ROWS:
            continue
        name = short_cell(view.workload)
        points = [(float(distance), norm) for distance, norm in enumerate(norms) if norm > 0]
        curves.setdefault(view.workload.task, {}).setdefault(
            name, series_of(name, points or [(0.0, 1.0)], variant=False)
        )
    panels = [
        Panel(task, "lines", tuple(found.values()), "steps before the loss", x_log=False)
        for task, found in curves.items()
        if any(len(series.x) > 1 for series in found.values())
    ]
    rows = tuple((panel,) for panel in panels[: MOST_ROWS // 2])
    title = "Norm of the gradient by the input of a step, against its distance from the loss"
    head = "gradient by the input of a step: its norm, by distance from the loss"
    return [Figure("gradients.svg", head, title, "more", rows)] if rows else []
