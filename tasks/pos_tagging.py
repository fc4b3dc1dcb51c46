"""pos_tagging: read words, predict the part of speech of each at its step. Many-to-many.

Source: the TensorFlow note, with "i work at google" as pronoun, verb, preposition, noun. Most words
are verb or noun, "like" is verb or preposition; which of them follows from what came before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tasks import metrics
from tasks.spec import Batch, ModelSpec, OptimizerSpec
from tasks.task import Shape, Size, Target, find_size, named

PAD = "<pad>"  # id 0
BOTH = ("call", "dance", "drive", "google", "help", "play", "rest", "study", "travel", "walk",
        "work")  # fmt: skip
WORDS: Mapping[str, tuple[str, ...]] = {
    "conjunction": ("and",),
    "noun": (*BOTH, "home", "london", "music", "school"),
    "preposition": ("after", "at", "before", "for", "in", "like", "with"),
    "pronoun": ("i", "they", "we", "you"),
    "verb": (*BOTH, "eat", "like", "sing", "sleep"),
}
TAGS = tuple(WORDS)  # by class
# What may follow. After a conjunction comes the tag before it: "i work and rest at home and work".
FOLLOWS: Mapping[str, tuple[str, ...]] = {
    "noun": ("conjunction", "preposition", "pronoun"),
    "preposition": ("noun",),
    "pronoun": ("verb",),
    "verb": ("conjunction", "noun", "preposition"),
}
VOCABULARY = (PAD, *sorted({word for words in WORDS.values() for word in words}))
# The note's sentence, and the same words with other tags.
SENTENCES = ("i work at google", "i google at work")


class PosTagging:
    """Sequences of T words, cut where T ends; the tags of each are those of its own clauses.

    At "source" the first two are "i work at google" and "i google at work". There the default
    vanilla RNN reaches the target with 20 of 20 initialisations, and at base with three of three;
    the most frequent tag of a word after the word before it does not.
    """

    name: str = "pos_tagging"
    shape: Shape = "many-to-many"
    sizes: Mapping[str, Size] = named(
        source=Size(batch=2, steps=4, input=8, hidden=8),
        base=Size(batch=64, steps=40, input=64, hidden=128),
    )
    sets: frozenset[str] = frozenset(("vocab_size", "readout", "loss"))
    own_lengths: None = None
    phases: None = None
    target: Target = Target(
        metric="accuracy",
        threshold=0.99,
        optimizer=OptimizerSpec("adam", learning_rate=0.003),
        steps=200,
        size="base",
    )

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model: C = 5, the tags. Raises KeyError for an unknown size."""
        size = find_size(self.sizes, size)
        spec = size.model(vocab_size=len(VOCABULARY), output_size=len(TAGS), loss="cross_entropy")
        return replace(spec, **overrides)

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """x (B,T) int64 word ids, y (B,T) int64 classes."""
        size = find_size(self.sizes, size)
        rng = np.random.default_rng(seed)
        first = SENTENCES[: size.batch] if size.at_source else ()
        rows = [_written(rng, size.steps, sentence.split()) for sentence in first]
        rows += [_written(rng, size.steps, ()) for _ in range(size.batch - len(first))]
        x = [[VOCABULARY.index(word) for word, _ in row] for row in rows]
        y = [[TAGS.index(tag) for _, tag in row] for row in rows]
        return Batch(x=np.array(x, np.int64), y=np.array(y, np.int64))

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`accuracy`: the share of words that the argmax of outputs (B,T,C) tags correctly."""
        return {"accuracy": metrics.accuracy(outputs, batch)}

    def classes(self, size: str | Size) -> tuple[str, ...]:
        """The tags, by class."""
        return TAGS

    def decode(self, ids: np.ndarray) -> str:
        """The text of one row of x (T,), without padding."""
        return " ".join(VOCABULARY[i] for i in ids if i != 0)

    def tags(self, classes: np.ndarray) -> list[str]:
        """The names of one row of y (T,)."""
        return [TAGS[i] for i in classes]


def follow(tags: Sequence[str]) -> tuple[str, ...]:
    """The tags that may come after these."""
    if not tags:
        return ("pronoun",)
    return (tags[-2],) if tags[-1] == "conjunction" else FOLLOWS[tags[-1]]


def _written(rng: np.random.Generator, steps: int, begin: Sequence[str]) -> list[tuple[str, str]]:
    """T = `steps` words with their tags, of which the first are given."""
    words: list[str] = []
    tags: list[str] = []
    for step in range(steps):
        allowed = follow(tags)
        if step < len(begin):
            words.append(begin[step])
            (tag,) = (tag for tag in allowed if begin[step] in WORDS[tag])
        else:
            tag = allowed[rng.integers(len(allowed))]
            words.append(WORDS[tag][rng.integers(len(WORDS[tag]))])
        tags.append(tag)
    return list(zip(words, tags, strict=True))
