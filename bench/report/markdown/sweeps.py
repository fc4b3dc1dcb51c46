"""A sweep as a title and a table. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bench.analysis import scaling, text
from bench.analysis.scaling import Sweep
from bench.analysis.workload_view import cell_in_words


@dataclass(frozen=True)
class SweepView:
    """A sweep: its heading and its table."""

    title: str
    table: str


def view(sweep: Sweep) -> SweepView:
    return SweepView(title(sweep), table(sweep))


def title(sweep: Sweep) -> str:
    """ "sentiment LSTM, bptt, cpu, float32: T 16 to 1024 at B 64, D 64, H 128"; escaped."""
    workload = sweep.views[0].workload
    sizes = [f"{letter} {size}" for letter, size in sweep.fixed.items()]
    fixed = ", ".join([*sizes, *map(text.escape, sweep.words)])
    where = ", ".join(
        [
            f"{text.escape(workload.task)} {cell_in_words(workload)}",
            *map(text.escape, (workload.phase, workload.device, workload.dtype)),
            text.threads(workload.threads),
        ]
    )
    return f"{where}: {sweep.axis} {sweep.values[0]} to {sweep.values[-1]} at {fixed}"


def table(sweep: Sweep) -> str:
    """Median steps along the axis, then the exponents; the GEMM baseline is the last column."""
    columns = {label: dict(sweep.points(label)) for label in sweep.labels}
    if baseline := sweep.baseline():
        columns["GEMM baseline"] = dict(baseline)
    if not columns:
        return "No variant has times at two or more points."
    rows = [
        [str(value), *(_time(points.get(value)) for points in columns.values())]
        for value in sweep.values
    ]
    fits = [scaling.growth(list(points.items())) for points in columns.values()]
    rows.append(["exponent", *(str(growth or "") for growth in fits)])
    rows.append(["at the end", *(f"{g.last:.2f}" if g else "" for g in fits)])
    return text.table([sweep.axis, *columns], rows, right=range(len(columns) + 1))


def _time(seconds: float | None) -> str:
    return "" if seconds is None else text.duration(seconds)
