"""Streams: the distribution of the times of single steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bench.analysis.workload_view import WorkloadView
from bench.records.schema import Measurement, StepTimes


def find(views: Sequence[WorkloadView]) -> Iterator[WorkloadView]:
    """Every workload of streams of which something was timed."""
    for view in views:
        if any(step_times(view.candidates[label]) for label in view.ranked):
            yield view


def step_times(m: Measurement) -> StepTimes | None:
    """Of the steps alone; None if it is no stream."""
    return _together([p.step_times for p in m.processes if p.step_times])


def transfer_step_times(m: Measurement) -> StepTimes | None:
    """Of the steps with the transfers of input and output."""
    return _together([p.transfer_step_times for p in m.processes if p.transfer_step_times])


def _together(found: Sequence[StepTimes]) -> StepTimes | None:
    """Of several processes: the median of each number, and the worst of all."""
    if not found:
        return None
    middle = {
        name: float(np.median([getattr(each, name) for each in found]))
        for name in ("median_seconds", "p90_seconds", "p99_seconds")
    }
    return StepTimes(
        steps=sum(each.steps for each in found),
        worst_seconds=max(each.worst_seconds for each in found),
        **middle,
    )
