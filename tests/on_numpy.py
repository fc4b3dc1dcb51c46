"""Tasks on the numpy backend, with their own parameters: as they start, and trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.numpy.backend import NumpyBackend, NumpyModel
from tasks.spec import Batch, ModelSpec
from tasks.task import Target, Task, start_params


def oracle(
    task: Task, spec: ModelSpec, seed: int, target: Target | None = None, dtype: str = "float64"
) -> NumpyModel:
    """The numpy backend with the task's own parameters."""
    return NumpyBackend().build(
        spec,
        start_params(task, spec, seed),
        device="cpu",
        dtype=dtype,
        optimizer=target.optimizer if target else None,
    )


def outputs(model: NumpyModel, batch: Batch) -> np.ndarray:
    return model.to_host(model.forward(model.place(batch)))["outputs"]


def trained(task: Task, seed: int, steps: int, size: str = "source", **fields: Any) -> NumpyModel:
    """After so many updates with the optimizer of the target, each on another batch."""
    spec = task.spec(size, **fields)
    model = oracle(task, spec, seed, task.target, "float32")
    for step in range(steps):
        model.train_step(model.place(task.batch(size, 1000 * seed + step + 1, spec)))
    return model


def reached(task: Task, model: NumpyModel, size: str = "source", **fields: Any) -> float:
    """The metric of the target on a batch that the model was not trained on, if there are more."""
    assert task.target is not None
    batch = task.batch(size, 999_999, task.spec(size, **fields))
    return task.score(outputs(model, batch), batch)[task.target.metric]


def good_enough(target: Target, value: float) -> bool:
    return value >= target.threshold if target.larger_is_better else value <= target.threshold
