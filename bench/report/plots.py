"""Which figures a report has, and what each is made of. Pure data, without matplotlib.

Their number is limited, so that a report of any size is made in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.record import Measurement, Run
from bench.report import crossings, memory, models, sweeps, text
from bench.report.cells import NOT_RUN, Cell, verdict
from bench.report.figures import (
    FLOOR,
    Figure,
    Mark,
    Panel,
    Series,
    by_task_and_device,
    grid_of,
    names,
    place,
    series_of,
    short_kind,
    title_of,
)
from tasks.spec import ModelSpec

MOST_ROWS = 6  # of panels in one figure
MOST_PANELS, MOST_CURVES = 24, 16  # of one kind in a report
CURVE_POINTS = 40
MOST_PARAMETERS, MOST_STEPS = 2_000_000, 100  # that gradients are computed for


def of_run(run: Run, cells: Sequence[Cell]) -> list[Figure]:
    """Every figure of a report; none where nothing was timed."""
    timed = [cell for cell in cells if cell.ranked]
    single = sweeps.base_cells(timed)
    figures = [] if run.serial else _ratios(single)
    figures += _curves(sweeps.find(timed))
    figures += _totals(single) + _memory(single) + _devices(timed)
    return figures + _gradients(timed)


def _ratios(cells: Sequence[Cell]) -> list[Figure]:
    """A figure a task and device: ratios to the fastest with their intervals."""
    figures: list[Figure] = []
    panels = 0
    for task, device, group in by_task_and_device(cells):
        grid = [row for row in grid_of(group) if any(row)][:MOST_ROWS]
        if panels + sum(map(len, grid)) > MOST_PANELS:
            break
        panels += sum(map(len, grid))
        figures.append(
            Figure(
                f"ratios-{len(figures) + 1}.svg",
                f"{place(task, device)}: times the fastest",
                f"{place(task, device)}: step time as a ratio to the fastest, with 95 % intervals",
                "overview",
                tuple(tuple(_ratio_panel(cell) if cell else None for cell in row) for row in grid),
            )
        )
    return figures


def _ratio_panel(cell: Cell) -> Panel:
    series = []
    for label, name in names(cell).items():
        m, found = cell.entries[label], cell.comparisons.get(label)
        if found is not None:
            low, high = found.estimate.interval
            bounds = ((low,), (high,)) if np.isfinite(high) and low > 0 else ((), ())
            series.append(Series(name, (found.estimate.ratio,), (), *bounds))
        elif label == cell.fastest:
            series.append(Series(name, (1.0,), ()))
        elif m.status not in NOT_RUN or len(cell.entries) > 1:
            word = verdict(m) if label not in cell.ranked else "unpaired"
            series.append(Series(name, (), (), note=word))
    return Panel(
        f"{text.plain(cell.any.phase, 16)}, {title_of(cell)}",
        "dots",
        tuple(series),
        "",
        at_one=True,
    )


def _curves(found: Sequence[sweeps.Sweep]) -> list[Figure]:
    """A figure an axis and task: step time on logarithmic axes, the floor drawn in."""
    groups: dict[tuple[str, str, str], list[sweeps.Sweep]] = {}
    for sweep in [sweep for sweep in found if sweep.labels][:MOST_CURVES]:
        m = sweep.cells[0].any
        groups.setdefault((sweep.axis, m.task, m.device), []).append(sweep)
    figures: list[Figure] = []
    for (axis, task, device), group in groups.items():
        by_cell = {id(sweep.cells[0]): sweep for sweep in group}
        apart = _fixed_apart(group)
        grid = grid_of(sweep.cells[0] for sweep in group)[:MOST_ROWS]
        figures.append(
            Figure(
                f"sweep-{axis}-{len(figures) + 1}.svg",
                f"{place(task, device)}: seconds a step against {axis}",
                f"{place(task, device)}: step time against {axis}, {sweeps.AXES[axis]}",
                "sweeps",
                tuple(
                    tuple(_curve_panel(by_cell[id(cell)], apart) if cell else None for cell in row)
                    for row in grid
                ),
            )
        )
    return figures


def _fixed_apart(group: Sequence[sweeps.Sweep]) -> list[str]:
    """The letters of the sizes in which these sweeps differ, beside their axis."""
    return [
        letter
        for letter in group[0].fixed
        if len({str(sweep.fixed[letter]) for sweep in group}) > 1
    ]


def _curve_panel(sweep: sweeps.Sweep, apart: Sequence[str]) -> Panel:
    first = sweep.cells[0]
    called = {label: name for cell in sweep.cells for label, name in names(cell).items()}
    series = [series_of(called[label], sweep.points(label)) for label in sweep.labels]
    if floor := sweep.floor():
        series.append(series_of(FLOOR, floor, variant=False))
    m = first.any
    sizes = [f"{letter} {text.plain(sweep.fixed[letter], 12)}" for letter in apart]
    words = [text.plain(word, 12) for word in sweep.words]
    title = ", ".join([text.plain(m.phase, 16), short_kind(m), *sizes, *words])
    return Panel(title, "lines", tuple(series), sweep.axis, x_ticks=tuple(map(float, sweep.values)))


def _totals(cells: Sequence[Cell]) -> list[Figure]:
    """A figure a task: the whole time against the number of steps, a cold start included."""
    figures: list[Figure] = []
    for task, device, group in by_task_and_device(cells):
        chosen = [cell for cell in group if len(cell.ranked) > 1][:MOST_ROWS]
        if not chosen or len(figures) * 2 >= MOST_ROWS:
            continue
        grid = [row for row in grid_of(chosen) if any(row)][:1]
        figures.append(
            Figure(
                f"total-{len(figures) + 1}.svg",
                f"{place(task, device)}: seconds in all, cold start included",
                f"{place(task, device)}: seconds from the start of the interpreter, against "
                "steps; where another takes the lead is marked",
                "more",
                tuple(tuple(_total_panel(cell) if cell else None for cell in row) for row in grid),
            )
        )
    return figures


def _total_panel(cell: Cell) -> Panel:
    called, last = names(cell), crossings.reach(cell)
    steps = np.unique(np.geomspace(1, last, CURVE_POINTS).round())
    series = [
        series_of(called[line.label], [(float(n), line.total(float(n))) for n in steps])
        for line in crossings.lines(cell)
    ]
    marks = tuple(
        Mark(float(c.steps), c.after.total(c.steps), f"{called[c.after.label]} from {c.steps:,}")
        for c in crossings.crossings(cell)
    )
    title = f"{text.plain(cell.any.phase, 16)}, {title_of(cell)}"
    return Panel(title, "lines", tuple(series), "steps", marks=marks)


def _memory(cells: Sequence[Cell]) -> list[Figure]:
    """One figure: peak memory above the imports, of the largest model of each task and device."""
    counted = [cell for cell in cells if any(_mebibytes(cell.entries[n]) for n in cell.ranked)]
    largest: dict[tuple[str, str], list[Cell | None]] = {}
    for row in grid_of(counted):
        if (m := next((cell.any for cell in row if cell), None)) is None:
            continue
        before = largest.get((m.task, m.device), [None])
        if all(cell is None or cell.any.parameters < m.parameters for cell in before):
            largest[m.task, m.device] = row
    grid = list(largest.values())[: MOST_ROWS // 2]
    if not grid:
        return []
    rows = tuple(tuple(_memory_panel(cell) if cell else None for cell in row) for row in grid)
    return [
        Figure(
            "memory.svg",
            "peak memory above the imports",
            "Peak memory of each variant above what it held after its imports, in MiB; "
            "of each task the model with the most parameters",
            "more",
            rows,
        )
    ]


def _mebibytes(m: Measurement) -> tuple[float, float] | None:
    """Least and most MiB, of the device where it is one of its own."""
    device = memory.on_device(m)
    found = memory.on_host(m) if m.device == "cpu" else (device, device) if device else None
    return (found[0] / 2**20, found[1] / 2**20) if found is not None and found[1] > 0 else None


def _memory_panel(cell: Cell) -> Panel:
    series = []
    for label, name in names(cell).items():
        found = _mebibytes(cell.entries[label]) if label in cell.ranked else None
        if found is None:
            series.append(Series(name, (), (), note="-"))
            continue
        low, high = found
        ends = ((), ()) if low == high else ((max(low, min(1.0, high)),), (high,))
        series.append(Series(name, (high,), (), *ends))
    task = text.plain(cell.any.task, 24)
    return Panel(
        f"{text.plain(cell.any.phase, 16)}, {task} {title_of(cell)}", "dots", tuple(series), "MiB"
    )


def _devices(cells: Sequence[Cell]) -> list[Figure]:
    """One figure: how many times as long a variant takes on the CPU as on another device."""
    places: dict[tuple[object, ...], dict[str, Cell]] = {}
    for cell in cells:
        m = cell.any
        key = (m.phase, m.task, m.size, m.dtype, str(m.spec["cell"]))
        places.setdefault(key, {})[m.device] = cell
    panels = []
    for found in places.values():
        host = found.get("cpu")
        for device, cell in found.items():
            if host is not None and device != "cpu" and set(host.ranked) & set(cell.ranked):
                panels.append(_device_panel(host, cell))
    rows = tuple((panel,) for panel in panels[:MOST_ROWS])
    title = "Step time on the CPU divided by that on the GPU, by variant"
    return [Figure("devices.svg", "CPU against GPU", title, "more", rows)] if rows else []


def _device_panel(host: Cell, other: Cell) -> Panel:
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
    m = other.any
    title = f"{text.plain(m.phase, 16)}, {text.plain(m.task, 24)} {title_of(other)}"
    words = f"times as long on cpu as on {text.plain(m.device, 12)}"
    return Panel(title, "dots", tuple(series), words, at_one=True)


def _gradients(cells: Sequence[Cell]) -> list[Figure]:
    """One figure: a panel a task, a curve a kind of cell at its first size.

    Computed from the recorded models by the oracle, whose module is loaded here alone.
    """
    curves: dict[str, dict[str, Series]] = {}
    for cell in cells:
        spec = models.spec_of(cell.any)
        if spec is None or cell.any.parameters > MOST_PARAMETERS or len(curves) > MOST_ROWS:
            continue
        task = curves.setdefault(cell.any.task, {})
        if short_kind(cell.any) not in task:
            task[short_kind(cell.any)] = _gradient(cell.any, spec)
    panels = [
        Panel(task, "lines", tuple(found.values()), "steps before the loss", x_log=False)
        for task, found in curves.items()
        if any(len(series.x) > 1 for series in found.values())
    ]
    rows = tuple((panel,) for panel in panels[: MOST_ROWS // 2])
    title = "Norm of the loss's gradient by the input of a step, against the distance of that step"
    head = "how far back the loss is felt: norm of its gradient"
    return [Figure("gradients.svg", head, title, "more", rows)] if rows else []


def _gradient(m: Measurement, spec: ModelSpec) -> Series:
    from bench.gradients import norms

    found = norms(spec, min(m.steps, MOST_STEPS))
    points = [(float(distance), float(v)) for distance, v in enumerate(found) if v > 0]
    return series_of(short_kind(m), points or [(0.0, 1.0)], variant=False)
