"""The batches of a workload."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import msgspec
import numpy as np

from bench.config.data import known
from bench.config.phases import STREAM
from bench.records.workload import Workload
from tasks.flops import step_flops
from tasks.inputs import make_batch, with_options
from tasks.spec import Batch
from tasks.training import FAR, OwnTraining, TrainingData, fresh


def of_workload(workload: Workload, seed: int) -> Batch:
    """A batch that depends on what the workload computes, and on the seed, alone."""
    task = known.of_workload(workload)
    return make_batch(task, workload.numbers, workload.spec, workload.inputs, seed)


def training(workload: Workload, seed: int) -> TrainingData:
    """What a workload is trained on and scored on: the data of its task, or a batch each time."""
    task, numbers = known.of_workload(workload), workload.numbers
    if isinstance(task, OwnTraining):
        return _with_options(task.training(numbers, seed, workload.spec), workload, seed)

    def make(batch: int, seed: int) -> Batch:
        size = numbers.with_overrides(batch=batch)
        return make_batch(task, size, workload.spec, workload.inputs, seed)

    return fresh(make, workload.batch, seed)


def _with_options(given: TrainingData, workload: Workload, seed: int) -> TrainingData:
    """The data of a task, with what the options add to each batch."""
    task, spec, options = known.of_workload(workload), workload.spec, workload.inputs

    def batch(update: int) -> Batch:
        return with_options(task, given.batch(update), spec, options, seed + update)

    held_out = with_options(task, given.held_out, spec, options, seed + FAR)
    return replace(given, batch=batch, held_out=held_out)


@lru_cache(maxsize=64)
def sequences(workload: Workload) -> tuple[int, ...]:
    """(T,) sequences of its first batch that are not over at each step: without lengths all B.

    (1,) for a stream, whose calls are single steps.
    """
    if workload.phase == STREAM:
        return (workload.batch,)
    if not workload.has_lengths:
        return (workload.batch,) * workload.steps
    lengths = of_workload(workload, 0).lengths
    assert lengths is not None
    return tuple(int(count) for count in (lengths > np.arange(workload.steps)[:, None]).sum(1))


def at_steps(workload: Workload, steps: int) -> Workload:
    """The same with a fixed T."""
    return msgspec.structs.replace(workload, steps=steps, steps_vary=())


def flops(workload: Workload) -> int:
    """FLOPs of the matrix products of one step; where T varies, their mean."""
    if workload.steps_vary:
        of_each = [flops(at_steps(workload, steps)) for steps in workload.steps_vary]
        return round(sum(of_each) / len(of_each))
    counts = sequences(workload)
    about = (workload.spec, workload.batch, len(counts), workload.model_phase)
    return step_flops(*about, sum(counts))
