"""Published numbers that every variant must reproduce: those of the task `hello_batch`."""

from __future__ import annotations

import numpy as np

from bench.correctness.oracle import Inputs
from tasks.hello_batch import OUTPUTS, HelloBatch

TASK = HelloBatch()
SPEC = TASK.spec("source")
HALF_A_DIGIT = 0.5e-4 + 1e-6  # half a printed digit, plus rounding in float32


def inputs() -> Inputs:
    """The network, and x (B,T,D) = (5,3,4)."""
    return Inputs(SPEC, TASK.params(SPEC, seed=0), TASK.batch("source", seed=0))


def difference(outputs: np.ndarray) -> str | None:
    """A message if outputs (B,T,H) differ from the printed ones, else None."""
    expected = OUTPUTS.swapaxes(0, 1)
    if outputs.shape != expected.shape:
        return f"outputs has shape {outputs.shape}; expected {expected.shape}"
    off = np.abs(outputs - expected)
    if (off <= HALF_A_DIGIT).all():  # False for NaN
        return None
    b, t, h = np.unravel_index(np.nanargmax(off), off.shape)
    return (
        f"outputs at t={t}, sequence {b}, unit {h} is {outputs[b, t, h]:.4f}; "
        f"the note prints {expected[b, t, h]:.4f}"
    )
