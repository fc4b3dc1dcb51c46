"""What a grid of workloads is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.config.data import known
from bench.config.fields import OPTIMIZERS
from bench.records.workload import LEARN, DataSet
from tasks.spec import OptimizerSpec
from tasks.task import Task

DEFAULT_OPTIMIZER = OPTIMIZERS[0]
# A power of two near the notes' 0.001: exact both in frameworks that keep it in float32 and in
# those that keep it in float64.
LEARNING_RATE = 2.0**-10


@dataclass(frozen=True)
class Request:
    """A grid of workloads; an empty list means the default of each task."""

    tasks: Sequence[str]
    phases: Sequence[str]
    devices: Sequence[str]
    dtypes: Sequence[str]
    threads: Sequence[int]
    sizes: Sequence[str] = ()
    optimizers: Sequence[str] = ()
    model: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # values of fields.MODEL
    data: DataSet | None = None  # of the one task; None: that of the tasks
    shown: frozenset[str] = frozenset()  # the options that stand in labels
    given_name: str = ""  # that of a workload file
    where: str = ""  # the workload's place in its file, for messages
    more: Sequence[Request] = ()  # further grids of the same run

    def task(self, name: str) -> Task:
        """The task of that name, on the data that are given."""
        return known.task(name, self.data)


def optimizers(request: Request, phase: str, task: Task) -> list[OptimizerSpec | None]:
    """The optimizers of train_step, always in the same order; that of a target; [None]."""
    if phase == LEARN and task.target is not None:
        # In float32, so that frameworks that keep it in that have the same one.
        rate = float(np.float32(task.target.optimizer.learning_rate))
        return [replace(task.target.optimizer, learning_rate=rate)]
    if phase != "train_step":
        return [None]
    asked = request.optimizers or [DEFAULT_OPTIMIZER]
    chosen = [name for name in OPTIMIZERS if name in asked]
    return [OptimizerSpec(name=name, learning_rate=LEARNING_RATE) for name in chosen]


def place(request: Request) -> str:
    """ "my-net.toml, workload 1: ", to stand before a message; empty without a file."""
    return f"{request.where}: " if request.where else ""
