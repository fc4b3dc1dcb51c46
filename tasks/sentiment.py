"""sentiment: read a sentence word by word, predict its label after the last word. Many-to-one.

Source: the three emotions of the notes, where the hidden size is the number of emotions and the
last state itself is the logits. The sizes base and large ask for like or dislike. The sentences
come from `sentiment_grammar`; another source of text is another `Language`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks import metrics
from tasks.sentiment_grammar import FEELING, REVIEW, Language
from tasks.spec import Batch, ModelSpec, OptimizerSpec
from tasks.task import Shape, Size, Target, find_size, named, without_head

PAD = "<pad>"  # id 0, an ordinary token: there is no mask, and its embedding row learns


class Sentiment:
    """Sentences of 1 to T words, generated to fit into T, with padding in front.

    "source" asks the question of the notes (sad, happy, angry), every other size like or dislike.
    Word 0 is the padding, the other words are sorted. The counts of the labels in a batch differ by
    at most one. LSTM and GRU reach the target; the vanilla RNN may not.
    """

    name: str = "sentiment"
    shape: Shape = "many-to-one"
    sizes: Mapping[str, Size] = named(
        source=Size(batch=8, steps=8, input=8, hidden=3),
        base=Size(batch=64, steps=80, input=64, hidden=128),
        large=Size(batch=64, steps=100, input=128, hidden=320),
    )
    sets: frozenset[str] = frozenset(("vocab_size", "readout", "loss"))
    phases: None = None
    target: Target = Target(
        metric="accuracy",
        threshold=0.95,
        optimizer=OptimizerSpec("adam", learning_rate=0.003),
        steps=600,
        size="base",
        cell="lstm",
    )

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model: at "source" without a head, as in the notes; otherwise C = labels.

        Raises KeyError for an unknown size.
        """
        size = find_size(self.sizes, size)
        spec = size.model(
            vocab_size=len(self.vocabulary(size)), readout="last_step", loss="cross_entropy"
        )
        head = None if without_head(size, overrides) else len(self.labels(size))
        return replace(spec, **{"output_size": head, **overrides})

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """x (B,T) int64 word ids, padding in front; y (B,) int64 classes."""
        size = find_size(self.sizes, size)
        language = _language(size)
        ids = {word: i for i, word in enumerate(self.vocabulary(size))}
        rng = np.random.default_rng(seed)
        classes = len(language.labels)
        y = (rng.permutation(size.batch) + rng.integers(classes)) % classes
        x = np.zeros((size.batch, size.steps), np.int64)
        for row, label in zip(x, y, strict=True):
            words = language.write(rng, language.labels[label], size.steps)
            row[-len(words) :] = [ids[word] for word in words]
        return Batch(x=x, y=y.astype(np.int64))

    def own_lengths(self, batch: Batch) -> np.ndarray:
        """The words of each sentence, (B,) in 1..T: what is not padding in front."""
        steps: int = batch.x.shape[1]
        return steps - np.argmax(batch.x != 0, axis=1)

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`accuracy`: the share of sentences that the argmax of outputs (B,C) labels correctly."""
        return {"accuracy": metrics.accuracy(outputs, batch)}

    def classes(self, size: str | Size) -> tuple[str, ...]:
        """The labels, by class."""
        return self.labels(size)

    def labels(self, size: str | Size) -> tuple[str, ...]:
        """The labels at `size`, by class."""
        return _language(find_size(self.sizes, size)).labels

    def vocabulary(self, size: str | Size) -> tuple[str, ...]:
        """The V words at `size` by id, the padding first."""
        return (PAD, *_language(find_size(self.sizes, size)).words)

    def decode(self, ids: np.ndarray, size: str | Size = "base") -> str:
        """The text of one row of x (T,), made at `size`, without its padding."""
        words = self.vocabulary(size)
        return " ".join(words[i] for i in ids if i != 0)


def _language(size: Size) -> Language:
    return FEELING if size.at_source else REVIEW
