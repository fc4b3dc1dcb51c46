"""What a net of a task is trained on, and what it is scored on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from tasks.spec import Batch, ModelSpec
from tasks.task import Size

HELD_OUT = 256  # sequences
FAR = 1_000_000  # from the seeds of the batches that are trained on to that of the held-out ones


@dataclass(frozen=True)
class TrainingData:
    """The batch of each update, counted from 1, and sequences that are only scored."""

    batch: Callable[[int], Batch]
    held_out: Batch
    words: str  # where the batches come from
    single: bool = False  # the task has one batch alone, which is scored too


@runtime_checkable
class OwnTraining(Protocol):
    """A task with a fixed set of sequences to train on."""

    def training(self, size: str | Size, seed: int, spec: ModelSpec) -> TrainingData:
        """Its batches for `spec`, with B and T of `size`."""
        ...


def fresh(make: Callable[[int, int], Batch], batch: int, seed: int) -> TrainingData:
    """Another batch for each update; `make` gives that of a number of sequences and a seed.

    A task that has only one batch is trained on that and scored on it, as in its note.
    """
    first = make(batch, seed + 1)
    other = make(batch, seed + FAR)
    if np.array_equal(first.x, other.x) and np.array_equal(first.y, other.y):
        return TrainingData(lambda _: first, first, "one batch, the same for each update", True)
    held_out = make(HELD_OUT, seed + FAR)
    return TrainingData(
        lambda update: make(batch, seed + update), held_out, "a new batch each time"
    )


def rows(batch: Batch, chosen: slice | np.ndarray) -> Batch:
    """Some sequences of a batch."""
    parts = {
        field.name: value[chosen]
        for field in dataclasses.fields(batch)
        if isinstance(value := getattr(batch, field.name), np.ndarray)
    }
    state = None if batch.state is None else {k: v[chosen] for k, v in batch.state.items()}
    return dataclasses.replace(batch, **parts, state=state)
