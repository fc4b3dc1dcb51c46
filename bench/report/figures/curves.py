"""What the figures of curves are made of: sweeps, total times, gradients. Pure data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.analysis import break_even, text
from bench.analysis.scaling import AXES, Sweep
from bench.analysis.workload_view import WorkloadView
from bench.report.figures.figure import (
    BASELINE,
    MOST_PANELS,
    MOST_ROWS,
    RATIO,
    Axis,
    Figure,
    Mark,
    Panel,
    Series,
    by_task_and_device,
    grid_of,
    names,
    phase_of,
    place,
    ratio_of,
    series_of,
    short_cell,
    title_of,
)

MOST_SWEEPS = 16  # in a report
MOST_GRADIENTS = 8  # curves of a task
CURVE_POINTS = 40
BESIDE = 1.012  # the next variant's ratios are drawn so much further on the axis


def sweeps(found: Sequence[Sweep]) -> list[Figure]:
    """One figure per axis and task: a row per sweep, with its step times and its ratios."""
    groups: dict[tuple[str, str, str], list[Sweep]] = {}
    for sweep in [sweep for sweep in found if sweep.labels][:MOST_SWEEPS]:
        workload = sweep.views[0].workload
        groups.setdefault((sweep.axis, workload.task, workload.device), []).append(sweep)
    figures: list[Figure] = []
    for (axis, task, device), group in groups.items():
        differing = _differing(group)
        name = f"{axis}, {AXES[axis]}"
        figures.append(
            Figure(
                f"sweep-{axis}-{len(figures) + 1}.svg",
                f"{place(task, device)}: step time against {name}; right: relative to the fastest, "
                "with 95 % intervals",
                f"{place(task, device)}: median step and ratio to the fastest variant, with 95 % "
                f"intervals, against {name}",
                "sweeps",
                tuple(_sweep_row(sweep, differing) for sweep in group[:MOST_ROWS]),
            )
        )
    return figures


def _differing(group: Sequence[Sweep]) -> list[str]:
    """The letters of the sizes in which these sweeps differ, except their axis."""
    return [
        letter for letter in group[0].fixed if len({sweep.fixed[letter] for sweep in group}) > 1
    ]


def _sweep_row(sweep: Sweep, differing: Sequence[str]) -> tuple[Panel, Panel | None]:
    first = sweep.views[0]
    called = {label: name for view in sweep.views for label, name in names(view).items()}
    series = [series_of(called[label], sweep.points(label)) for label in sweep.labels]
    if baseline := sweep.baseline():
        series.append(series_of(BASELINE, baseline, variant=False))
    sizes = [f"{letter} {sweep.fixed[letter]}" for letter in differing]
    words = [text.plain(word, 40) for word in sweep.words]
    title = ", ".join([phase_of(first), short_cell(first.workload), *sizes, *words])
    x = Axis(f"{sweep.axis}, {AXES[sweep.axis]}", ticks=tuple(map(float, sweep.values)))
    times = Panel(title, "lines", tuple(series), x, Axis("median step", seconds=True))
    ratios = list(filter(None, (_ratios(sweep, n, called) for n in range(len(sweep.labels)))))
    return times, Panel("", "lines", tuple(ratios), x, RATIO) if ratios else None


def _ratios(sweep: Sweep, number: int, called: dict[str, str]) -> Series | None:
    """The ratios of one variant along a sweep, beside those of the others."""
    label, moved = sweep.labels[number], BESIDE ** (number - (len(sweep.labels) - 1) / 2)
    points = [
        (value * moved, *found)
        for value, view in zip(sweep.values, sweep.views, strict=True)
        if (found := ratio_of(view, label)) is not None
    ]
    if not points:
        return None
    x, y, low, high = zip(*points, strict=True)
    return Series(called[label], x, y, low, high)


def totals(views: Sequence[WorkloadView]) -> list[Figure]:
    """One figure per task: total time against the number of steps, cold start included."""
    figures: list[Figure] = []
    panels = 0
    for task, device, group in by_task_and_device(views):
        chosen = [view for view in group if len(view.ranked) > 1]
        grid = [row for row in grid_of(chosen) if any(row)][:MOST_ROWS]
        if not grid or panels + sum(map(len, grid)) > MOST_PANELS:
            continue
        panels += sum(map(len, grid))
        last = max(break_even.reach(view) for row in grid for view in row if view)
        figures.append(
            Figure(
                f"total-{len(figures) + 1}.svg",
                f"{place(task, device)}: total time, cold start included; circles mark where "
                "another variant gets ahead",
                f"{place(task, device)}: time since the start of the interpreter, against the "
                "number of steps; circles mark where another variant gets ahead",
                "more",
                tuple(
                    tuple(_total_panel(view, last) if view else None for view in row)
                    for row in grid
                ),
            )
        )
    return figures


def _total_panel(view: WorkloadView, last: int) -> Panel:
    called = names(view)
    steps = np.unique(np.geomspace(1, last, CURVE_POINTS).round())
    series = [
        series_of(called[time.label], [(float(n), time.of(float(n))) for n in steps])
        for time in break_even.total_times(view)
    ]
    marks = tuple(
        Mark(
            float(b.steps),
            b.after.of(b.steps),
            f"{called[b.after.label]} overtakes {called[b.before.label]} at step {b.steps:,}",
        )
        for b in break_even.break_evens(view)
    )
    y = Axis("time since Python started", seconds=True)
    title = f"{phase_of(view)}, {title_of(view)}"
    return Panel(title, "lines", tuple(series), Axis("steps"), y, marks=marks)


def gradients(views: Sequence[WorkloadView]) -> list[Figure]:
    """One figure per task: a curve for each of its models and batches."""
    by_task: dict[str, list[WorkloadView]] = {}
    for view in views:
        by_task.setdefault(view.workload.task, []).append(view)
    drawn = {task: found for task, group in by_task.items() if (found := _norms(group))}
    return [
        _gradient_figure(number, task, found)
        for number, (task, found) in enumerate(list(drawn.items())[: MOST_ROWS // 2], 1)
    ]


def _norms(views: Sequence[WorkloadView]) -> list[Series]:
    """The curves of a task, each of the first workload with its cell and size that has norms."""
    several = len({view.workload.label for view in views}) > 1
    found: dict[str, Series] = {}
    for view in views:
        norms = view.record.gradient_norms if view.record else ()
        points = [(float(distance), norm) for distance, norm in enumerate(norms) if norm > 0]
        size = [view.workload.label] if several else []
        name = text.plain(", ".join([short_cell(view.workload), *size]), 48)
        if len(points) > 1 and name not in found and len(found) < MOST_GRADIENTS:
            found[name] = series_of(name, points, variant=False)
    return list(found.values())


def _gradient_figure(number: int, task: str, found: Sequence[Series]) -> Figure:
    name = text.plain(task, 30)
    title = "norm of the gradient by the input of a step, against its distance from the loss"
    x = Axis("steps before the loss", log=False)
    panel = Panel("", "lines", tuple(found), x, Axis("norm of the gradient"))
    head = f"{name}: how the gradient by the input of a step fades with its distance from the loss"
    return Figure(f"gradients-{number}.svg", head, f"{name}: {title}", "more", ((panel,),))
