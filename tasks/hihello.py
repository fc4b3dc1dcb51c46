"""hihello: read one-hot letters, predict the next letter at every step. Many-to-many.

"h" is followed by "i" or "e", and "l" by "l" or "o", depending on the letters before. Source: the
single sequence of the RNN note, x = "hihell", y = "ihello", where the hidden state itself is the
logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks.spec import Batch, ModelSpec, OptimizerSpec
from tasks.task import Shape, Size, Target, find_size, named, without_head

TEXT = "hihello"
LETTERS = "".join(sorted(set(TEXT)))  # "ehilo": the id of a letter is its index


class HiHello:
    """Windows of the endlessly repeated "hihello".

    A batch of one starts at the first letter, as in the note. Larger batches start at random
    letters; then the first letter does not always determine the second, and the best expected
    accuracy is 1 - 2/(7 T). The target is that of the note, at the source size with its vanilla
    RNN. About three of four initialisations reach it, as with torch's own initialisation and two
    biases. A bidirectional net sees the answer one step ahead, so use it for timing, not learning.
    """

    name: str = "hihello"
    shape: Shape = "many-to-many"
    sizes: Mapping[str, Size] = named(
        source=Size(batch=1, steps=6, input=5, hidden=5),
        base=Size(batch=64, steps=64, input=5, hidden=64),
    )
    sets: frozenset[str] = frozenset(("vocab_size", "readout", "loss"))
    own_lengths: None = None
    target: Target = Target(
        metric="accuracy",
        threshold=1.0,
        optimizer=OptimizerSpec("adam", learning_rate=0.1),
        steps=100,
    )

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model: at "source" without a head, as in the note; otherwise C = 5, the letters.

        Raises KeyError for an unknown size, ValueError for D < 5.
        """
        size = find_size(self.sizes, size)
        spec = ModelSpec(
            cell="rnn_tanh",
            input_size=size.input,
            hidden_size=size.hidden,
            num_layers=size.layers,
            loss="cross_entropy",
        )
        head = None if without_head(size, overrides) else len(LETTERS)
        spec = replace(spec, **{"output_size": head, **overrides})
        if spec.input_size < len(LETTERS):
            raise ValueError(
                f"input size D is {spec.input_size}; hihello needs at least {len(LETTERS)}, one "
                f"column per letter of {LETTERS!r} (further columns stay 0)"
            )
        return spec

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """x (B,T,D) float64 one-hot, y (B,T) int64; columns beyond the letters stay 0."""
        size = find_size(self.sizes, size)
        columns = (spec or self.spec(size)).input_size
        rng = np.random.default_rng(seed)
        start = rng.integers(len(TEXT), size=(size.batch, 1)) if size.batch > 1 else 0
        place = (start + np.arange(size.steps + 1)[None, :]) % len(TEXT)  # (B,T+1)
        ids = np.array([LETTERS.index(letter) for letter in TEXT], np.int64)[place]
        return Batch(x=np.eye(len(LETTERS), columns)[ids[:, :-1]], y=ids[:, 1:].copy())

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`accuracy`: the share of letters that the argmax of outputs (B,T,C) predicts."""
        if outputs.shape[:-1] != batch.y.shape:
            raise ValueError(f"outputs are {outputs.shape}; expected {(*batch.y.shape, 'C')}")
        return {"accuracy": float((outputs.argmax(axis=-1) == batch.y).mean())}

    def spell(self, outputs: np.ndarray) -> list[str]:
        """The predicted letters of each sequence, from outputs (B,T,5)."""
        if outputs.ndim != 3 or outputs.shape[-1] != len(LETTERS):
            raise ValueError(f"outputs are {outputs.shape}; expected (B, T, {len(LETTERS)})")
        return ["".join(LETTERS[i] for i in row) for row in outputs.argmax(axis=-1)]
