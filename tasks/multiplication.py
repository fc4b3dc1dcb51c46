"""multiplication: read numbers, predict the product of the two marked ones. Many-to-one.

Source: the TensorFlow note, with 100 pairs of a marker and a uniform number, two stacked
SimpleRNN(30) and Dense(1), in batches of 32. Its vanilla RNN learns the training sequences and not
the task, because gradients vanish; LSTM and GRU are expected to do better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks import metrics
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params, init_params
from tasks.task import Shape, Size, Target, find_size, named
from tasks.training import TrainingData, rows

MARKED = 2  # numbers of a sequence
TRAINED, HELD_OUT = 2048, 512  # of the note's sequences, a multiple of 32 each
EPOCHS, BATCH = 100, 32


class Multiplication:
    """Column 0 marks two of the T numbers of column 1; the further inputs of D stay 0.

    Every output is the product. At the source size a GRU reaches the target after about 1600
    updates, an LSTM after about 2400, and the vanilla RNN not at all. Predicting the mean scores
    0.049.
    """

    name: str = "multiplication"
    shape: Shape = "many-to-one"
    sizes: Mapping[str, Size] = named(
        source=Size(batch=BATCH, steps=100, input=2, hidden=30, layers=2)
    )
    sets: frozenset[str] = frozenset(("vocab_size", "readout", "loss"))
    own_lengths: None = None
    phases: None = None
    target: Target = Target(
        metric="mse",
        threshold=0.01,
        optimizer=OptimizerSpec("adam", learning_rate=0.001),
        steps=EPOCHS * TRAINED // BATCH,
        larger_is_better=False,
        cell="gru",
        alone=True,
    )

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model: C = 1. Raises KeyError for an unknown size, ValueError for D or T < 2."""
        size = find_size(self.sizes, size)
        if size.steps < MARKED:
            raise ValueError(
                f"T is {size.steps}; multiplication needs at least {MARKED}, one step per mark"
            )
        spec = size.model(readout="last_step", output_size=1, loss="mse")
        spec = replace(spec, **overrides)
        if spec.input_size < 2:
            raise ValueError(
                f"input size D is {spec.input_size}; multiplication needs at least 2, one column "
                "for the marks and one for the numbers (further columns stay 0)"
            )
        return spec

    def params(self, spec: ModelSpec, seed: int) -> Params:
        """As Keras initialises the note's net."""
        return init_params(spec, seed, "keras")

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """x (B,T,D), y (B,C) or without a head (B,F), float64 in [0, 1]."""
        size = find_size(self.sizes, size)
        spec = spec or self.spec(size)
        rng = np.random.default_rng(seed)
        rows = np.arange(size.batch)[:, None]
        marked = rng.permuted(np.tile(np.arange(size.steps), (size.batch, 1)), axis=1)[:, :MARKED]
        x = np.zeros((size.batch, size.steps, spec.input_size))
        x[rows, marked, 0] = 1.0
        x[..., 1] = rng.random((size.batch, size.steps))
        product = x[rows, marked, 1].prod(axis=1, keepdims=True)
        return Batch(x=x, y=np.repeat(product, spec.logit_size, axis=1))

    def split(
        self, seed: int, spec: ModelSpec | None = None, size: str | Size = "source"
    ) -> tuple[Batch, Batch]:
        """The note's data: 2048 sequences to train on, and 512 held out."""
        whole = find_size(self.sizes, size).with_overrides(batch=TRAINED + HELD_OUT)
        found = self.batch(whole, seed, spec)
        return rows(found, slice(TRAINED)), rows(found, slice(TRAINED, None))

    def training(self, size: str | Size, seed: int, spec: ModelSpec) -> TrainingData:
        """The note's epochs: each takes its 2048 sequences in batches of B, in another order.

        Sequences that fill no batch at the end of an epoch are left out of it.
        """
        size = find_size(self.sizes, size)
        given, held_out = self.split(seed, spec, size)
        of_epoch = TRAINED // size.batch
        if not of_epoch:
            raise ValueError(
                f"B is {size.batch}; expected at most the {TRAINED} sequences to train on"
            )

        def batch(update: int) -> Batch:
            epoch, number = divmod(update - 1, of_epoch)
            order = np.random.default_rng((seed, epoch)).permutation(TRAINED)
            return rows(given, order[number * size.batch : (number + 1) * size.batch])

        words = f"{TRAINED:,} sequences, again in each epoch of {of_epoch} updates"
        return TrainingData(batch, held_out, words)

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`mse`: mean squared error of outputs (B,C)."""
        return {"mse": metrics.mse(outputs, batch)}
