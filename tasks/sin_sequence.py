"""sin_sequence: read a sine point by point, predict the next point at every step. Many-to-many.

Source: the torch.nn.RNN note, with 20 points of sin on [0, pi] through RNN(1, 10, num_layers=2)
without a head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks.spec import Batch, ModelSpec, OptimizerSpec
from tasks.task import Shape, Size, Target, find_size

NOTE_INPUT, NOTE_HIDDEN = 1, 10
PERIOD_STEPS = (10.0, 50.0)  # shortest and longest wave of a random batch, in steps


class SinSequence:
    """D independent sines per sequence, with random phase and frequency.

    B = D = 1 gives the sequence of the note instead: T points of sin on [0, pi], without the seed.
    If D = 1 and H = 10, as in the note, y is the next point repeated over the 10 units (B,T,10);
    otherwise y is (B,T,D). The default vanilla RNN reaches the target at base; repeating the last
    point scores about 0.09. A bidirectional net sees the answer one step ahead, so use it for
    timing, not learning.
    """

    name: str = "sin_sequence"
    shape: Shape = "many-to-many"
    sizes: Mapping[str, Size] = {
        "source": Size(batch=1, steps=20, input=NOTE_INPUT, hidden=NOTE_HIDDEN, layers=2),
        "base": Size(batch=64, steps=100, input=1, hidden=64, layers=2),
    }
    target: Target = Target(
        metric="mse",
        threshold=0.005,
        optimizer=OptimizerSpec("adam", learning_rate=0.003),
        steps=300,
        larger_is_better=False,
    )

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model: without a head if the note has none and F is y's width, else C = y's width.

        Raises KeyError for an unknown size.
        """
        size = find_size(self.sizes, size)
        spec = ModelSpec(
            cell="rnn_tanh",
            input_size=size.input,
            hidden_size=size.hidden,
            num_layers=size.layers,
            loss="mse",
        )
        spec = replace(spec, **overrides)
        headless = _as_in_note(size) and spec.feature_size == NOTE_HIDDEN
        if "output_size" in overrides or headless:
            return spec
        return replace(spec, output_size=_width(size))

    def batch(self, size: str | Size, seed: int) -> Batch:
        """x (B,T,D), y (B,T,D) or, in the note's shape, (B,T,10); float64 in [-1, 1]."""
        size = find_size(self.sizes, size)
        steps = np.arange(size.steps + 1)[None, :, None]  # the last one is only predicted
        if (size.batch, size.input) == (1, 1):
            wave = np.sin(np.pi * steps / max(size.steps - 1, 1))
        else:
            rng = np.random.default_rng(seed)
            channels = (size.batch, 1, size.input)
            phase = rng.uniform(0.0, 2.0 * np.pi, channels)
            slow, fast = 2.0 * np.pi / PERIOD_STEPS[1], 2.0 * np.pi / PERIOD_STEPS[0]
            wave = np.sin(phase + rng.uniform(slow, fast, channels) * steps)
        repeats = _width(size) // size.input
        return Batch(x=wave[:, :-1].copy(), y=np.repeat(wave[:, 1:], repeats, axis=-1))

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`mse`: mean squared error over all of outputs (B,T,C)."""
        if outputs.shape != batch.y.shape:
            raise ValueError(f"outputs are {outputs.shape}; expected {batch.y.shape}")
        return {"mse": float(((outputs.astype(np.float64) - batch.y) ** 2).mean())}


def _as_in_note(size: Size) -> bool:
    return (size.input, size.hidden) == (NOTE_INPUT, NOTE_HIDDEN)


def _width(size: Size) -> int:
    return NOTE_HIDDEN if _as_in_note(size) else size.input
