"""A batch of host arrays: made from other layouts, and checked against a model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tasks.spec import Batch, ModelSpec


def time_first(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> Batch:
    """A Batch from time-first x (T,B,D) | (T,B); y and weight are time first if they have a T."""

    def turned(array: np.ndarray) -> np.ndarray:
        return array.swapaxes(0, 1) if array.shape[:2] == x.shape[:2] else array

    return Batch(turned(x), turned(y), None if weight is None else turned(weight))


def unbatched(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> Batch:
    """A Batch of one sequence, from arrays without the batch axis: x (T,D) | (T,)."""
    return Batch(x[None], np.asarray(y)[None], None if weight is None else weight[None])


def carried(spec: ModelSpec, last: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The last states of a forward result as the initial state of the next Batch."""
    return {f"{name}0": last[name] for name in spec.state_names()}


def real_steps(batch: Batch) -> np.ndarray | None:
    """(B,T) bool: which steps are no padding; None without lengths."""
    if batch.lengths is None:
        return None
    return np.arange(batch.x.shape[1]) < batch.lengths[:, None]


def step_weight(batch: Batch) -> np.ndarray | None:
    """The weight (B,T) of each step in the loss, 0 in the padding; None if all count alike."""
    real = real_steps(batch)
    if real is None:
        return batch.weight
    return real * (1.0 if batch.weight is None else batch.weight)


def check_batch(spec: ModelSpec, batch: Batch) -> None:
    """Raise ValueError, which names what was expected and found, unless `batch` fits `spec`."""
    if spec.vocab_size is None:
        if batch.x.ndim != 3 or batch.x.shape[2] != spec.input_size or batch.x.dtype.kind != "f":
            raise ValueError(
                f"x is {batch.x.dtype} {batch.x.shape}; expected float (B, T, {spec.input_size})"
            )
    elif batch.x.ndim != 2 or batch.x.dtype.kind not in "iu":
        raise ValueError(f"x is {batch.x.dtype} {batch.x.shape}; expected whole numbers (B, T)")
    elif batch.x.size and not 0 <= batch.x.min() <= batch.x.max() < spec.vocab_size:
        raise ValueError(f"x holds token ids outside [0, {spec.vocab_size})")
    size, steps = batch.x.shape[:2]
    if not size or not steps:
        raise ValueError(f"x is {batch.x.shape}; expected at least one sequence and one step")
    lead = (size, steps) if spec.readout == "every_step" else (size,)
    classes = spec.loss == "cross_entropy"
    expected = lead if classes else (*lead, spec.logit_size)
    if batch.y.shape != expected or batch.y.dtype.kind not in ("iu" if classes else "f"):
        kind = "whole numbers" if classes else "float"
        raise ValueError(f"y is {batch.y.dtype} {batch.y.shape}; expected {kind} {expected}")
    if classes and not 0 <= batch.y.min() <= batch.y.max() < spec.logit_size:
        raise ValueError(f"y holds classes outside [0, {spec.logit_size})")
    if batch.weight is not None:
        if spec.readout != "every_step":
            raise ValueError("a weight is given; expected none if only the last step is read")
        if batch.weight.shape != (size, steps):
            raise ValueError(f"weight is {batch.weight.shape}; expected {(size, steps)}")
    _check_state(spec, batch.state, size)
    _check_lengths(batch.lengths, size, steps)


def _check_state(spec: ModelSpec, state: Mapping[str, np.ndarray] | None, size: int) -> None:
    if state is None:
        return
    expected = {f"{name}0" for name in spec.state_names()}
    if set(state) != expected:
        raise ValueError(
            f"state is {sorted(state)}; expected {sorted(expected)}: one per layer and direction"
        )
    for name, value in state.items():
        if value.shape != (size, spec.hidden_size):
            raise ValueError(f"{name} is {value.shape}; expected {(size, spec.hidden_size)}")


def _check_lengths(lengths: np.ndarray | None, size: int, steps: int) -> None:
    if lengths is None:
        return
    if lengths.shape != (size,) or lengths.dtype.kind not in "iu":
        raise ValueError(
            f"lengths are {lengths.dtype} {lengths.shape}; expected whole numbers {(size,)}"
        )
    if not 1 <= lengths.min() <= lengths.max() <= steps:
        raise ValueError(f"lengths are {lengths.min()} to {lengths.max()}; expected 1 to {steps}")
