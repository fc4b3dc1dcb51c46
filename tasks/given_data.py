"""Data of one's own: texts as ids, some of them held out, as a task that a net learns.

Ids 0 and 1 are the padding and all words that are not in the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from tasks import metrics
from tasks.spec import Batch, Cell, ModelSpec, OptimizerSpec, Readout
from tasks.task import Shape, Size, Target, find_size, named
from tasks.training import HELD_OUT, TrainingData

PAD, UNKNOWN = "<pad>", "<unk>"
SPECIAL = (PAD, UNKNOWN)  # by id; no text holds the first
SPLIT_SEED = 0
FEWEST = 10  # texts, or windows of a text
FIT = 0.95  # of the texts fit into T
WINDOW = 64  # T of one long text
BATCH = 64
_AT_ONCE = 2**22  # tokens: numpy counts and indexes in 8 bytes each


class Sequences(Protocol):
    """What a net reads: sequences by number, some of them held out."""

    @property
    def readout(self) -> Readout:
        """Whether a net answers at every step, or at the last."""
        ...

    @property
    def tokens(self) -> np.ndarray:
        """(N,) ids."""
        ...

    def parts(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the sequences to train on, and of those held out, for T = `steps`."""
        ...

    def take(self, chosen: np.ndarray, steps: int) -> Batch:
        """The sequences of these numbers (B,), with T = `steps`."""
        ...


@dataclass(frozen=True)
class Texts:
    """S texts with one label each, or with a tag for each of their N tokens."""

    tokens: np.ndarray  # (N,) ids of all texts, one after the other
    ends: np.ndarray  # (S,) where each text ends in them
    labels: np.ndarray  # (S,) or (N,)
    train: np.ndarray  # numbers of texts
    held_out: np.ndarray
    tagged: bool

    @property
    def readout(self) -> Readout:
        return "every_step" if self.tagged else "last_step"

    def parts(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        return self.train, self.held_out

    def take(self, chosen: np.ndarray, steps: int) -> Batch:
        """x (B,T), padding in front; y (B,), or y (B,T) with a weight of 0 in the padding.

        A text of more than T tokens is cut behind T.
        """
        starts = np.where(chosen > 0, self.ends[chosen - 1], 0)
        ends = np.minimum(self.ends[chosen], starts + steps)
        places = ends[:, None] - steps + np.arange(steps)
        real = places >= starts[:, None]
        places = np.where(real, places, 0)
        x = np.where(real, self.tokens[places], 0).astype(np.int64)
        if not self.tagged:
            return Batch(x=x, y=self.labels[chosen].astype(np.int64))
        y = np.where(real, self.labels[places], 0).astype(np.int64)
        return Batch(x=x, y=y, weight=real.astype(np.float64))


@dataclass(frozen=True)
class OneText:
    """One long text, whose last part is held out; a sequence is a window, by its first token."""

    tokens: np.ndarray  # (N,) ids
    held_from: int  # where the part that is held out begins
    readout: Readout = "every_step"

    def parts(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Windows of T + 1 tokens that share no step. ValueError if there are too few."""
        train = np.arange(0, self.held_from - steps, steps)
        held_out = np.arange(self.held_from, len(self.tokens) - steps, steps)[:HELD_OUT]
        if len(train) < FEWEST or not len(held_out):
            raise ValueError(
                f"T is {steps}, and the text has {len(self.tokens):,} characters; expected at "
                f"least {FEWEST} windows of T to train on, and one that is held out"
            )
        return train, held_out

    def take(self, chosen: np.ndarray, steps: int) -> Batch:
        """x (B,T), y (B,T): the token that follows each."""
        windows = self.tokens[chosen[:, None] + np.arange(steps + 1)].astype(np.int64)
        return Batch(x=windows[:, :-1].copy(), y=windows[:, 1:].copy())


class GivenData:
    """The task of the same name on data of one's own.

    The target is to avoid a share of the errors of the most frequent answer; sizes have the D and H
    of `sentiment`, and T of the data. A batch is drawn from the part to train on.
    """

    phases: None = None
    sets: frozenset[str] = frozenset(("vocab_size", "readout", "loss", "output_size"))

    def __init__(
        self,
        name: str,
        shape: Shape,
        sequences: Sequences,
        words: Sequence[str],
        outputs: int,
        *,
        steps: int,
        threshold: float,
        cell: Cell | None = "lstm",
    ) -> None:
        """`words` are the V tokens by id, `outputs` is C, `steps` the default of T."""
        self.name, self.shape, self._sequences = name, shape, sequences
        self.words, self._outputs = tuple(words), outputs
        batch = min(BATCH, len(sequences.parts(steps)[0]))
        self.sizes: Mapping[str, Size] = named(
            base=Size(batch=batch, steps=steps, input=64, hidden=128),
            large=Size(batch=batch, steps=steps, input=128, hidden=320),
        )
        self.target = Target(
            metric="accuracy",
            threshold=threshold,
            optimizer=OptimizerSpec("adam", learning_rate=0.003),
            steps=1000,
            size="base",
            cell=cell,
        )
        self._order = lru_cache(maxsize=2)(_order)

    @property
    def own_lengths(self) -> Callable[[Batch], np.ndarray] | None:
        """The tokens of each text, (B,) in 1..T; None for windows of one text."""
        return None if isinstance(self._sequences, OneText) else _own_lengths

    def spec(self, size: str | Size, **overrides: Any) -> ModelSpec:
        """The model, with an embedding and a head. Raises KeyError for an unknown size."""
        spec = find_size(self.sizes, size).model(
            vocab_size=len(self.words),
            output_size=self._outputs,
            readout=self._sequences.readout,
            loss="cross_entropy",
        )
        return replace(spec, **overrides)

    def batch(self, size: str | Size, seed: int, spec: ModelSpec | None = None) -> Batch:
        """B sequences of those to train on, each once where there are as many."""
        size = find_size(self.sizes, size)
        train, _ = self._sequences.parts(size.steps)
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(train), size.batch, replace=size.batch > len(train))
        return self._sequences.take(train[chosen], size.steps)

    def training(self, size: str | Size, seed: int, spec: ModelSpec) -> TrainingData:
        """Epochs over the part to train on, each in another order; the part that is held out.

        Sequences that fill no batch at the end of an epoch are left out of it.
        """
        size = find_size(self.sizes, size)
        train, held_out = self._sequences.parts(size.steps)
        of_epoch = len(train) // size.batch
        if not of_epoch:
            raise ValueError(
                f"B is {size.batch}; expected at most the {len(train)} sequences to train on"
            )

        def batch(update: int) -> Batch:
            epoch, number = divmod(update - 1, of_epoch)
            order = self._order(seed, epoch, len(train))
            chosen = order[number * size.batch : (number + 1) * size.batch]
            return self._sequences.take(train[chosen], size.steps)

        updates = "1 update" if of_epoch == 1 else f"{of_epoch} updates"
        words = f"{len(train):,} sequences, again in each epoch of {updates}"
        return TrainingData(batch, self._sequences.take(held_out, size.steps), words)

    def score(self, outputs: np.ndarray, batch: Batch) -> dict[str, float]:
        """`accuracy`: the share of labels that the argmax of outputs (B,C) or (B,T,C) predicts."""
        return {"accuracy": metrics.accuracy(outputs, batch)}

    def decode(self, ids: np.ndarray) -> list[str]:
        """The words of one row of x (T,), without padding."""
        return [self.words[i] for i in ids if i != 0]


def split(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the texts to train on and of those held out: a fifth, at most HELD_OUT."""
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    held_out = min(HELD_OUT, max(1, count // 5))
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def vocabulary(
    counts: np.ndarray, words: Sequence[str], most: int, least: int
) -> tuple[list[str], np.ndarray]:
    """The words by id, and the id (K,) of each of the K words: the most frequent ones come first.

    counts (K,) are those in the part to train on; `most` words that come `least` times stay.
    """
    frequent = np.flatnonzero(counts >= least).tolist()
    order = sorted(frequent, key=lambda i: (-counts[i], words[i]))[:most]
    ids = np.full(len(words), SPECIAL.index(UNKNOWN), np.int32)
    ids[order] = np.arange(len(order)) + len(SPECIAL)
    return [*SPECIAL, *(words[i] for i in order)], ids


def steps_that_fit(lengths: np.ndarray) -> int:
    """The T into which FIT of the texts fit; lengths (S,)."""
    return int(np.quantile(lengths, FIT, method="inverted_cdf"))


def counted(tokens: np.ndarray, words: int) -> np.ndarray:
    """How often each of so many words comes among tokens (N,); a part of them at a time."""
    found = np.zeros(words, np.int64)
    for begin in range(0, len(tokens), _AT_ONCE):
        found += np.bincount(tokens[begin : begin + _AT_ONCE], minlength=words)
    return found


def renumber(tokens: np.ndarray, ids: np.ndarray) -> None:
    """Put in place of each of tokens (N,) its id; a part of them at a time."""
    for begin in range(0, len(tokens), _AT_ONCE):
        tokens[begin : begin + _AT_ONCE] = ids[tokens[begin : begin + _AT_ONCE]]


def threshold(counts: np.ndarray, avoided: float) -> float:
    """The accuracy that avoids a share of the errors of always giving the most frequent label.

    counts (C,) are those of the labels.
    """
    common = counts.max() / counts.sum()
    return float(round(common + avoided * (1 - common), 3))


def part(texts: Texts, chosen: np.ndarray) -> np.ndarray:
    """(N,) bool: the tokens of the texts of these numbers."""
    of_text = np.zeros(len(texts.ends), bool)
    of_text[chosen] = True
    return np.repeat(of_text, np.diff(texts.ends, prepend=0))


def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)


def _own_lengths(batch: Batch) -> np.ndarray:
    steps: int = batch.x.shape[1]
    return steps - np.argmax(batch.x != 0, axis=1)
