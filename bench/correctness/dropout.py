"""Checks the masks between layers, which no oracle can draw.

For one sequence of one step, the gradient of W_xh of the second layer is x δ, and that of its bias
is δ. So the input x of that layer can be read from the two: each value must be 0 or h / (1 - p),
where h is what the first layer gives, and so the mean over draws is h. Over two steps with masks of
their own, a row of the gradient is 0 with probability p².
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from bench.correctness.asked_model import AskedModel
from bench.correctness.oracle import Inputs, Tensors
from tasks.spec import Batch

VALUES, MOST_DRAWS = 4000, 200  # values to look at, in so many draws at the most
SIGMAS = 5.0  # of a share
ERROR = {"float64": 1e-9, "float32": 1e-3}  # of a value, relatively; others: 2^-6
OTHER_ERROR = 2.0**-6


def wrong_masks(model: AskedModel, case: Inputs) -> str | None:
    """A message if the built model drops another share, or scales what it keeps otherwise.

    It leaves the parameters of `case` in the model, and another batch.
    """
    spec, p = case.spec, case.spec.dropout
    if p == 0.0:
        return None
    model.renew(case, dataclasses.replace(case, batch=cut(case.batch, 1)))
    states = model.call("forward")[1]
    h = np.concatenate([states[f"l0.{direction}.h"][0] for direction in spec.directions]).astype(
        np.float64
    )
    draws = min(MOST_DRAWS, math.ceil(VALUES / len(h)))
    dropped = []
    for _ in range(draws):
        found = model.call("bptt")[1]
        if spec.bias and not found["grad.l1.fwd.b"].any():
            continue  # no gradient reaches the layer, as where every unit of a relu is dead
        dropped.append(_zero_rows(found)[h != 0])
        if spec.bias and (message := _scale(found, h, p, model.dtype)):
            return message
    if not dropped:
        return "no gradient reaches the second layer"
    if message := _share(np.array(dropped), p, "are dropped between layers"):
        return message
    model.renew(case, dataclasses.replace(case, batch=cut(case.batch, 2)))
    if case.batch.x.shape[1] < 2 or spec.cell == "rnn_relu":  # where a 0 may be of another kind
        return None
    both = [_zero_rows(model.call("bptt")[1]) for _ in range(draws)]
    return _share(np.array(both), p * p, "are dropped at both of two steps")


def _zero_rows(found: Tensors) -> np.ndarray:
    """(I,) bool: the inputs of the second layer that its gradient does not see."""
    return np.all(found["grad.l1.fwd.W_xh"] == 0, axis=1)


def _scale(found: Tensors, h: np.ndarray, p: float, dtype: str) -> str | None:
    delta = found["grad.l1.fwd.b"].astype(np.float64)
    x = found["grad.l1.fwd.W_xh"].astype(np.float64) @ delta / (delta @ delta)
    kept = x != 0
    off = np.abs(x[kept] - h[kept] / (1 - p))
    if not (off <= ERROR.get(dtype, OTHER_ERROR) * np.abs(h).max()).all():
        scale = float(np.median(x[kept] / h[kept]))
        return f"masks multiply what they keep by {scale:.4g}; expected {1 / (1 - p):.4g}"
    return None


def _share(dropped: np.ndarray, p: float, what: str) -> str | None:
    share, count = float(dropped.mean()), dropped.size
    if abs(share - p) <= SIGMAS * math.sqrt(p * (1 - p) / count):
        return None
    return f"of {count:,} values {100 * share:.1f} % {what}; expected {100 * p:.1f} %"


def cut(batch: Batch, steps: int) -> Batch:
    """Its first sequence, up to so many steps, without lengths and weights."""
    y = batch.y[:1, :steps] if batch.y.shape[:2] == batch.x.shape[:2] else batch.y[:1]
    state = None if batch.state is None else {name: h[:1] for name, h in batch.state.items()}
    return Batch(batch.x[:1, :steps], y, state=state)
