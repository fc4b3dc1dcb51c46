"""Stateful training: each train step starts from the state in which the one before ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from backends.interface import Model
from tasks.spec import Batch


class Chunk(NamedTuple):
    """A placed batch; a training that begins with it starts from its state."""

    placed: Any
    state: Mapping[str, np.ndarray] | None
    rows: int


class CarriedModel:
    """A model whose train steps carry the state on; to load parameters begins anew."""

    def __init__(self, model: Model) -> None:
        self._model, self._train_chunk = model, model.train_chunk
        self._carry: Any = None

    def __getattr__(self, member: str) -> Any:
        return getattr(self._model, member)

    def load(self, params: dict[str, np.ndarray]) -> None:
        self._model.load(params)
        self._carry = None

    def place(self, batch: Batch) -> Chunk:
        return Chunk(self._model.place(batch), batch.state, len(batch.x))

    def forward(self, chunk: Chunk) -> Any:
        return self._model.forward(chunk.placed)

    def bptt(self, chunk: Chunk) -> Any:
        return self._model.bptt(chunk.placed)

    def train_step(self, chunk: Chunk) -> Any:
        """One chunk; the first one after a load begins with its own state."""
        if self._carry is None:
            self._carry = self._model.begin(chunk.state, chunk.rows)
        result, self._carry = self._train_chunk(chunk.placed, self._carry)
        return result
