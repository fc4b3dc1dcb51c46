"""The times of single steps of streams, as titles and tables. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis import streams as of_streams
from bench.analysis import text
from bench.analysis.workload_view import WorkloadView
from bench.records.schema import StepTimes

FEWEST = {0.9: 10, 0.99: 100}  # steps of a process that such a quantile needs


@dataclass(frozen=True)
class StreamView:
    """A workload of streams: its heading and its table."""

    title: str
    table: str


def sections(views: Sequence[WorkloadView]) -> tuple[StreamView, ...]:
    """One for each workload of streams."""
    return tuple(StreamView(view.title, table(view)) for view in of_streams.find(views))


def table(view: WorkloadView) -> str:
    """Two rows per variant, in the order of their ranks: the step, and with its transfers."""
    rows = []
    for label in view.order:
        m = view.candidates[label]
        steps, moved = of_streams.step_times(m), of_streams.transfer_step_times(m)
        if label in view.ranked and steps is not None and moved is not None:
            rows.append([label, "step", *shown(steps, len(m.processes))])
            rows.append(["", "with transfers", *shown(moved, len(m.processes))])
    head = ("variant", "", "median", "90 %", "99 %", "worst", "of steps")
    return text.table(head, rows, right=range(2, len(head)))


def shown(times: StepTimes, processes: int) -> list[str]:
    """Median, quantiles, worst and number of steps; "-" for a quantile of too few of them."""
    each = times.steps / processes
    return [
        text.duration(times.median_seconds),
        text.duration(times.p90_seconds) if each >= FEWEST[0.9] else "-",
        text.duration(times.p99_seconds) if each >= FEWEST[0.99] else "-",
        text.duration(times.worst_seconds),
        f"{times.steps:,}",
    ]
