"""copy: read letters, then write them in the blanks that follow. Delayed many-to-many.

Source: the RNN note's drawing of *many to many* as translation, where the whole sentence is read
before the other is written. It gives no sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks import metrics
from tasks.letters import Letters
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params
from tasks.task import Shape, Size, Target, find_size, named

BLANK = "_"
LETTERS = Letters(BLANK + "abcdefgh")  # the id of the blank is 0


class Copy:
    """N = T // 2 random letters, then blanks; the last N outputs repeat the letters in order.

    The loss counts these alone: their weight is 1, that of all other steps is 0. A model with an
    embedding reads ids, and starts from a one-hot table. The default vanilla RNN reaches the target
    at the source size with 20 of 20 initialisations; guessing scores 1/8.
    """

    name: str = "copy"
    shape: Shape = "delayed many-to-many"
    sizes: Mapping[str, Size] = named(
        source=Size(batch=32, steps=8, input=len(LETTERS), hidden=64),
        base=Size(batch=64, steps=100, input=len(LETTERS), hidden=128),
    )
    sets: frozenset[str] = frozenset(("readout", "loss"))
    own_lengths: None = None
    phases: None = None
    target: Target = Target(
        metric="accuracy",
        threshold=0.99,
        optimizer=OptimizerSpec("adam", learning_rate=0.01),
        steps=300,
    )

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model: C = 9, the letters and the blank.

        Raises KeyError for an unknown size, ValueError for too small a D, V or T.
        """
        size = find_size(self.sizes, size)
        if size.steps < 2:
            raise ValueError(
                f"T is {size.steps}; copy needs at least 2, one step to read and one to write"
            )
        spec = size.model(output_size=len(LETTERS), loss="cross_entropy")
        spec = replace(spec, **overrides)
        LETTERS.expect_columns(self.name, spec)
        return spec

    def params(self, spec: ModelSpec, seed: int) -> Params:
        """Random parameters; an embedding E (V,D) with room for it starts one-hot."""
        return LETTERS.params(spec, seed)

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """x (B,T,D) float64 one-hot, or (B,T) int64 ids; y (B,T) int64; weight (B,T) 0 or 1."""
        size = find_size(self.sizes, size)
        count = size.steps // 2
        letters = np.random.default_rng(seed).integers(1, len(LETTERS), (size.batch, count))
        ids, y = (np.zeros((size.batch, size.steps), np.int64) for _ in range(2))
        ids[:, :count] = letters
        y[:, size.steps - count :] = letters
        weight = np.zeros(y.shape)
        weight[:, size.steps - count :] = 1.0
        return Batch(x=LETTERS.inputs(ids, spec or self.spec(size)), y=y, weight=weight)

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`accuracy`: the share of letters that the argmax of outputs (B,T,C) repeats."""
        return {"accuracy": metrics.accuracy(outputs, batch)}

    def classes(self, size: str | Size) -> tuple[str, ...]:
        """The blank and the letters, by id."""
        return tuple(LETTERS.known)

    def spell(self, outputs: np.ndarray) -> list[str]:
        """The letters of each answer, from outputs (B,T,9)."""
        return LETTERS.spell(outputs[:, outputs.shape[1] - outputs.shape[1] // 2 :])
