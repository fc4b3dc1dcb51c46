"""Letters: text as ids, as the inputs of a model, and as what its outputs spell."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tasks.spec import ModelSpec, Params, init_params
from tasks.task import Size


@dataclass(frozen=True)
class Letters:
    """The K letters of a task: the id of a letter is its index in `known`."""

    known: str

    def __len__(self) -> int:
        return len(self.known)

    def ids(self, text: str) -> np.ndarray:
        """The id of each letter: (len(text),) int64."""
        return np.array([self.known.index(letter) for letter in text], np.int64)

    def text(self, ids: np.ndarray) -> str:
        """The letters of ids (T,)."""
        return "".join(self.known[i] for i in ids)

    def windows(self, text: str, size: Size, seed: int) -> np.ndarray:
        """Ids (B,T+1) of the endlessly repeated text.

        A batch of one starts at its first letter, larger batches start at random letters.
        """
        rng = np.random.default_rng(seed)
        start = rng.integers(len(text), size=(size.batch, 1)) if size.batch > 1 else 0
        return self.ids(text)[(start + np.arange(size.steps + 1)[None, :]) % len(text)]

    def inputs(self, ids: np.ndarray, spec: ModelSpec) -> np.ndarray:
        """x of ids (B,T): the same for a model that reads tokens, else one-hot (B,T,D) float64.

        Columns beyond the letters stay 0.
        """
        return (
            ids.copy() if spec.vocab_size is not None else np.eye(len(self), spec.input_size)[ids]
        )

    def params(self, spec: ModelSpec, seed: int) -> Params:
        """Random parameters; an embedding E (V,D) with room for the letters is one-hot.

        With it, a model computes what the one that reads one-hot letters does from the same seed.
        """
        if spec.vocab_size is None or spec.input_size < len(self):
            return init_params(spec, seed)
        table = np.eye(spec.vocab_size, spec.input_size)
        return {"E": table, **init_params(replace(spec, vocab_size=None), seed)}

    def expect_columns(self, task: str, spec: ModelSpec) -> None:
        """Raise ValueError, naming the task, if D, or V where there are tokens, is too small."""
        if spec.vocab_size is not None and spec.vocab_size < len(self):
            raise ValueError(
                f"vocabulary V is {spec.vocab_size}; {task} needs at least {len(self)}, one token "
                f"per letter of {self.known!r}"
            )
        if spec.vocab_size is None and spec.input_size < len(self):
            raise ValueError(
                f"input size D is {spec.input_size}; {task} needs at least {len(self)}, one "
                f"column per letter of {self.known!r} (further columns stay 0)"
            )

    def spell(self, outputs: np.ndarray) -> list[str]:
        """The letters of each sequence that the argmax of outputs (B,T,K) predicts."""
        if outputs.ndim != 3 or outputs.shape[-1] != len(self):
            raise ValueError(f"outputs are {outputs.shape}; expected (B, T, {len(self)})")
        return [self.text(row) for row in outputs.argmax(axis=-1)]
