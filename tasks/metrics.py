"""Metrics of outputs, for `Task.score`. Steps count by their weight, and padding not at all."""

from __future__ import annotations

import numpy as np

from tasks.batch import step_weight
from tasks.spec import Batch


def accuracy(outputs: np.ndarray, batch: Batch) -> float:
    """The share of the labels y that the argmax of outputs (B,T,C) or (B,C) predicts."""
    if outputs.shape[:-1] != batch.y.shape:
        raise ValueError(f"outputs are {outputs.shape}; expected {(*batch.y.shape, 'C')}")
    return _mean(outputs.argmax(axis=-1) == batch.y, batch)


def mse(outputs: np.ndarray, batch: Batch) -> float:
    """The mean squared error of outputs (B,T,C) or (B,C)."""
    if outputs.shape != batch.y.shape:
        raise ValueError(f"outputs are {outputs.shape}; expected {batch.y.shape}")
    return _mean(((outputs.astype(np.float64) - batch.y) ** 2).mean(axis=-1), batch)


def _mean(each: np.ndarray, batch: Batch) -> float:
    """Of a number for every step (B,T), or for every sequence (B,)."""
    weight = step_weight(batch) if each.ndim == 2 else None
    return float(np.average(each, weights=weight))
