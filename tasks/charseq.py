"""charseq: read the letters of a sentence, predict the next one at every step. Many-to-many.

Source: the RNN note, with "if you want you" one-hot over its letters, x without the last letter and
y without the first. The hidden state itself is the logits, and its argmax must spell the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks import metrics
from tasks.letters import Letters
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params
from tasks.task import Shape, Size, Target, find_size, named, without_head

TEXT = "if you want you"


class CharSeq:
    """Windows of an endlessly repeated text; a batch of one starts at its first letter.

    The id of a letter is its place among the sorted letters of the text. A model with an embedding
    reads ids; it starts from a one-hot table, with which it computes what one-hot letters give. The
    target is that of the note, at the source size with its vanilla RNN; 19 of 20 initialisations
    reach it. A bidirectional net sees the answer one step ahead, so use it for timing, not
    learning.
    """

    name: str = "charseq"
    shape: Shape = "many-to-many"
    sizes: Mapping[str, Size]
    sets: frozenset[str] = frozenset(("readout", "loss"))
    own_lengths: None = None
    phases: None = None
    target: Target = Target(
        metric="accuracy",
        threshold=1.0,
        optimizer=OptimizerSpec("adam", learning_rate=0.1),
        steps=100,
    )

    def __init__(self, text: str = TEXT) -> None:
        if len(text) < 2:
            raise ValueError(f"the text is {text!r}; expected at least two letters")
        self.text = text
        self.letters = Letters("".join(sorted(set(text))))
        count = len(self.letters)
        self.sizes = named(source=Size(batch=1, steps=len(text) - 1, input=count, hidden=count))

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model: at "source" without a head, as in the note; otherwise C = K, the letters.

        Raises KeyError for an unknown size, ValueError for too small a D or V.
        """
        size = find_size(self.sizes, size)
        spec = size.model(loss="cross_entropy")
        head = None if without_head(size, overrides) else len(self.letters)
        spec = replace(spec, **{"output_size": head, **overrides})
        self.letters.expect_columns(self.name, spec)
        return spec

    def params(self, spec: ModelSpec, seed: int) -> Params:
        """Random parameters; an embedding E (V,D) with room for it starts one-hot."""
        return self.letters.params(spec, seed)

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """x (B,T,D) float64 one-hot, or (B,T) int64 ids; y (B,T) int64."""
        size = find_size(self.sizes, size)
        ids = self.letters.windows(self.text, size, seed)
        return Batch(
            x=self.letters.inputs(ids[:, :-1], spec or self.spec(size)), y=ids[:, 1:].copy()
        )

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`accuracy`: the share of letters that the argmax of outputs (B,T,C) predicts."""
        return {"accuracy": metrics.accuracy(outputs, batch)}

    def classes(self, size: str | Size) -> tuple[str, ...]:
        """The letters, by id."""
        return tuple(self.letters.known)

    def spell(self, outputs: np.ndarray) -> list[str]:
        """The predicted letters of each sequence, from outputs (B,T,K)."""
        return self.letters.spell(outputs)
