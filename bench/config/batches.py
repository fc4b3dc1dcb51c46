"""The batches of a workload."""

from __future__ import annotations

from bench.records.workload import Workload
from tasks import TASKS
from tasks.inputs import make_batch
from tasks.spec import Batch


def of_workload(workload: Workload, seed: int) -> Batch:
    """A batch that depends on what the workload computes, and on the seed, alone."""
    task = TASKS[workload.task]
    return make_batch(task, workload.numbers, workload.spec, workload.inputs, seed)
