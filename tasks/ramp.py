"""ramp: read a window of a rising line, predict the number that follows. Many-to-one.

Source: the TensorFlow note, with six windows [i, i+1, i+2, i+3]/10 and (i+4)/10, SimpleRNN(10) and
Dense(1), one batch. The accuracy that the note computes there means nothing on numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks import metrics
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params, init_params
from tasks.task import Shape, Size, Target, find_size, named

STEP = 0.1  # of the line
# Windows that the note does not train on: the first number of each, and what the note predicts.
UNSEEN = {0.6: 0.963, -0.1: 0.228}


class Ramp:
    """B windows of T numbers; sequence b starts at b/10. The further inputs of D stay 0.

    The model predicts the next C numbers. The vanilla RNN of the source size reaches the target
    with 18 of 20 of Keras' initialisations, and not from seed 0.
    """

    name: str = "ramp"
    shape: Shape = "many-to-one"
    sizes: Mapping[str, Size] = named(source=Size(batch=6, steps=4, input=1, hidden=10))
    sets: frozenset[str] = frozenset(("vocab_size", "readout", "loss"))
    own_lengths: None = None
    phases: None = None
    target: Target = Target(
        metric="mse",
        threshold=0.02,
        optimizer=OptimizerSpec("adam", learning_rate=0.001),
        steps=100,
        larger_is_better=False,
        seed=1,
    )

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model: C = 1. Raises KeyError for an unknown size."""
        size = find_size(self.sizes, size)
        spec = size.model(readout="last_step", output_size=1, loss="mse")
        return replace(spec, **overrides)

    def params(self, spec: ModelSpec, seed: int) -> Params:
        """As Keras initialises the note's net."""
        return init_params(spec, seed, "keras")

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """x (B,T,D), y (B,C) or without a head (B,F), float64; without the seed."""
        size = find_size(self.sizes, size)
        first = np.arange(size.batch) * STEP
        return windows(first, size.steps, spec or self.spec(size))

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`mse`: mean squared error of outputs (B,C)."""
        return {"mse": metrics.mse(outputs, batch)}


def windows(first: np.ndarray, steps: int, spec: ModelSpec) -> Batch:
    """The windows of T = `steps` numbers that start at first (B,), and what follows each."""
    line = first[:, None] + STEP * np.arange(steps + spec.logit_size)
    x = np.zeros((len(first), steps, spec.input_size))
    x[..., 0] = line[:, :steps]
    return Batch(x=x, y=line[:, steps:].copy())
