"""The loss of `tasks.loss` in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backends.torch.placed import Placed
from tasks.spec import ModelSpec


def batch_loss(spec: ModelSpec, outputs: Any, placed: Placed) -> Any:
    """() from outputs (B,T,C) or (B,C)."""
    import torch
    from torch.nn import functional as F

    rows = outputs.reshape(-1, outputs.shape[-1])  # (N,C), N = B*T or B
    classes = spec.loss == "cross_entropy"
    function: Callable[..., Any] = F.cross_entropy if classes else F.mse_loss
    y, width = placed.y.reshape(-1 if classes else rows.shape), 1 if classes else rows.shape[-1]
    weight = placed.weight
    if placed.lengths is not None and spec.readout == "every_step":
        real = placed.lengths.real(outputs.shape[1]).to(outputs.dtype)
        weight = real if weight is None else weight * real
    if weight is None:
        if spec.time_reduction == "mean":
            return function(rows, y)
        return function(rows, y, reduction="sum") / (width * len(outputs))
    each = function(rows, y, reduction="none").reshape(len(rows), -1).mean(dim=-1)
    weight = weight.reshape(-1)
    if spec.time_reduction == "sum":
        return torch.dot(weight, each) / len(outputs)
    total = weight.sum()
    return torch.dot(weight, each) * torch.where(total == 0, 0.0, 1 / total)
