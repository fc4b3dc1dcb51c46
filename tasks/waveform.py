"""waveform: read one vector at the first step, write a whole wave. One-to-many.

Source: the RNN note's drawing of *one to many*, an image in and a sentence out. It gives no sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks import metrics
from tasks.spec import Batch, ModelSpec, OptimizerSpec
from tasks.task import Shape, Size, Target, find_size, named

PERIOD_STEPS = (10.0, 50.0)  # of the fastest and of the slowest of the D sines


class Waveform:
    """The vector holds the amplitudes of D sines, and the wave is their sum divided by sqrt(D).

    After the first step every input is 0, so the model has to remember the vector and to count the
    steps. Every output is the wave. The default vanilla RNN reaches the target at the source size
    with 20 of 20 initialisations; predicting 0 scores about 0.17.
    """

    name: str = "waveform"
    shape: Shape = "one-to-many"
    sizes: Mapping[str, Size] = named(
        source=Size(batch=32, steps=20, input=4, hidden=32),
        base=Size(batch=64, steps=100, input=4, hidden=64),
    )
    sets: frozenset[str] = frozenset(("vocab_size", "readout", "loss"))
    own_lengths: None = None
    phases: None = None
    target: Target = Target(
        metric="mse",
        threshold=0.005,
        optimizer=OptimizerSpec("adam", learning_rate=0.003),
        steps=400,
        larger_is_better=False,
    )

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model: C = 1. Raises KeyError for an unknown size."""
        size = find_size(self.sizes, size)
        spec = size.model(output_size=1, loss="mse")
        return replace(spec, **overrides)

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """x (B,T,D), 0 after the first step; y (B,T,C) or without a head (B,T,F); float64."""
        size = find_size(self.sizes, size)
        spec = spec or self.spec(size)
        amplitudes = np.random.default_rng(seed).uniform(-1.0, 1.0, (size.batch, spec.input_size))
        x = np.zeros((size.batch, size.steps, spec.input_size))
        x[:, 0] = amplitudes
        wave = amplitudes @ sines(spec.input_size, size.steps)
        return Batch(x=x, y=np.repeat(wave[..., None], spec.logit_size, axis=-1))

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`mse`: mean squared error over all of outputs (B,T,C)."""
        return {"mse": metrics.mse(outputs, batch)}


def sines(count: int, steps: int) -> np.ndarray:
    """(D,T): the D = `count` sines from the slowest to the fastest, each divided by sqrt(D)."""
    fast, slow = (2.0 * np.pi / period for period in PERIOD_STEPS)
    frequencies = np.linspace(slow, fast, count)
    return np.sin(frequencies[:, None] * np.arange(1, steps + 1)) / np.sqrt(count)
