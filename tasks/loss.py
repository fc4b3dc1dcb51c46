"""The loss of a model's outputs in float64, which every backend's own loss must equal."""

from __future__ import annotations

import numpy as np

from tasks.batch import step_weight
from tasks.spec import Batch, ModelSpec


def step_losses(spec: ModelSpec, outputs: np.ndarray, batch: Batch) -> np.ndarray:
    """Loss of each output, (B,T) or (B,), from outputs (B,T,C) or (B,C)."""
    o = np.asarray(outputs, np.float64)
    if spec.loss == "mse":
        return ((o - batch.y) ** 2).mean(axis=-1)
    o = o - o.max(axis=-1, keepdims=True)
    log_p = o - np.log(np.exp(o).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(log_p, batch.y[..., None].astype(np.int64), axis=-1)[..., 0]


def loss(spec: ModelSpec, outputs: np.ndarray, batch: Batch) -> float:
    """The mean over batch and steps, or with `time_reduction` "sum" the sum over the steps.

    With a weight (B,T): sum(w * l) / sum(w), or 0 if sum(w) is 0; with "sum", sum(w * l) / B. The
    weight of padding is 0.
    """
    each = step_losses(spec, outputs, batch)
    weight = step_weight(batch) if spec.readout == "every_step" else None
    if weight is not None:
        total = float((weight * each).sum())
        if spec.time_reduction == "sum":
            return total / len(each)
        weights = float(weight.sum())
        return total / weights if weights else 0.0
    if spec.time_reduction == "sum" and each.ndim == 2:
        return float(each.sum() / len(each))
    return float(each.mean())
