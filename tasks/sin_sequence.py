"""sin_sequence: read a sine point by point, predict the next point at every step. Many-to-many.

Source: the torch.nn.RNN note, with 20 points of sin on [0, pi] through RNN(1, 10, num_layers=2)
without a head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks import metrics
from tasks.spec import Batch, ModelSpec, OptimizerSpec
from tasks.task import Shape, Size, Target, find_size, named, without_head

PERIOD_STEPS = (10.0, 50.0)  # shortest and longest wave of a random batch, in steps


class SinSequence:
    """D independent sines per sequence, with random phase and frequency.

    The model reads all of them and predicts the next point of the first, or of the first C. The
    size "source" with one sequence of one sine is that of the note instead: T points of sin on
    [0, pi], without the seed. The default vanilla RNN reaches the target at base; repeating the
    last point scores about 0.09. A bidirectional net sees the answer one step ahead, so use it for
    timing, not learning.
    """

    name: str = "sin_sequence"
    shape: Shape = "many-to-many"
    sizes: Mapping[str, Size] = named(
        source=Size(batch=1, steps=20, input=1, hidden=10, layers=2),
        base=Size(batch=64, steps=100, input=1, hidden=64, layers=2),
    )
    sets: frozenset[str] = frozenset(("vocab_size", "readout", "loss"))
    own_lengths: None = None
    phases: None = None
    target: Target = Target(
        metric="mse",
        threshold=0.005,
        optimizer=OptimizerSpec("adam", learning_rate=0.003),
        steps=300,
        larger_is_better=False,
        size="base",
    )

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model: at "source" without a head, as in the note; otherwise C = 1.

        Raises KeyError for an unknown size, ValueError for more outputs than sines.
        """
        size = find_size(self.sizes, size)
        spec = size.model(loss="mse")
        head = None if without_head(size, overrides) else 1
        spec = replace(spec, **{"output_size": head, **overrides})
        if (spec.output_size or 1) > spec.input_size:
            raise ValueError(
                f"{spec.output_size} outputs are asked of D = {spec.input_size}; expected at most "
                "one per sine"
            )
        return spec

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """x (B,T,D); y (B,T,C), or without a head the next point of the first sine for each unit,
        (B,T,F); float64 in [-1, 1].
        """
        size = find_size(self.sizes, size)
        spec = spec or self.spec(size)
        steps = np.arange(size.steps + 1)[None, :, None]  # the last one is only predicted
        if size.at_source and (size.batch, spec.input_size) == (1, 1):
            wave = np.sin(np.pi * steps / max(size.steps - 1, 1))
        else:
            rng = np.random.default_rng(seed)
            channels = (size.batch, 1, spec.input_size)
            phase = rng.uniform(0.0, 2.0 * np.pi, channels)
            slow, fast = 2.0 * np.pi / PERIOD_STEPS[1], 2.0 * np.pi / PERIOD_STEPS[0]
            wave = np.sin(phase + rng.uniform(slow, fast, channels) * steps)
        following = wave[:, 1:, : spec.output_size or 1]
        repeats = spec.feature_size if spec.output_size is None else 1
        return Batch(x=wave[:, :-1].copy(), y=np.repeat(following, repeats, axis=-1))

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`mse`: mean squared error over all of outputs (B,T,C)."""
        return {"mse": metrics.mse(outputs, batch)}
