"""The record of a workload: what does not belong to one candidate."""

from __future__ import annotations

from collections.abc import Sequence

from bench.config import batches
from bench.measurement import gradient_norms
from bench.records import schema
from bench.records.workload import Workload


def workload_record(
    workload: Workload,
    conditions: Sequence[schema.ProcessConditions],
    lesson: schema.Lesson | None = None,
) -> schema.WorkloadRecord:
    """The record of a workload: FLOPs, conditions and gradients; what there was to learn."""
    return schema.WorkloadRecord(
        workload=workload,
        flops=batches.flops(workload),
        real_steps=sum(batches.sequences(workload)) if workload.has_lengths else None,
        processes=tuple(conditions),
        gradient_norms=gradient_norms.of_workload(workload),
        lesson=lesson,
    )
