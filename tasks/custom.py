"""custom: a net of one's own. Random data from a seed, for any model and batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks import metrics
from tasks.spec import Batch, ModelSpec
from tasks.task import Shape, Size, find_size, named


class Custom:
    """Every field of ModelSpec can be chosen; there is nothing to learn.

    Inputs are standard normal numbers, or token ids if the model has an embedding; targets are
    random classes or, for the mean squared error, standard normal numbers.
    """

    name: str = "custom"
    shape: Shape = "many-to-many"
    sizes: Mapping[str, Size] = named(base=Size(batch=32, steps=50, input=64, hidden=128))
    target: None = None
    sets: frozenset[str] = frozenset()
    own_lengths: None = None
    phases: None = None

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """An LSTM with C = 10 that is read at every step, with the overrides.

        Raises KeyError for an unknown size.
        """
        size = find_size(self.sizes, size)
        spec = size.model("lstm", output_size=10)
        return replace(spec, **overrides)

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """x (B,T,D) float64 or (B,T) int64; y (B,T) or (B,) int64, or (B,T,C) or (B,C) float64."""
        size = find_size(self.sizes, size)
        spec = spec or self.spec(size)
        rng = np.random.default_rng(seed)
        steps = (size.batch, size.steps)
        if spec.vocab_size is None:
            x: np.ndarray = rng.standard_normal((*steps, spec.input_size))
        else:
            x = rng.integers(spec.vocab_size, size=steps)
        read = steps if spec.readout == "every_step" else steps[:1]
        if spec.loss == "mse":
            return Batch(x, rng.standard_normal((*read, spec.logit_size)))
        return Batch(x, rng.integers(spec.logit_size, size=read))

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`accuracy` of classes, or `mse`, of outputs (B,T,C) or (B,C)."""
        if batch.y.dtype.kind == "f":
            return {"mse": metrics.mse(outputs, batch)}
        return {"accuracy": metrics.accuracy(outputs, batch)}
