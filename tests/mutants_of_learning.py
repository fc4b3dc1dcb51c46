"""Mutants that go wrong while they learn, most of them only after the updates that others check."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from mutants import Model
from mutations import Host, Mutation

from tasks.spec import Batch, ModelSpec, Params

LATE = 12  # updates since parameters were loaded; the checks around the rounds make five


class Late(Model):
    """Right until update LATE; then `after` changes what an update has done."""

    updates = 0

    def load(self, params: Params) -> None:
        self.updates = 0
        self._correct.load(params)

    def train_step(self, placed: Any) -> Any:
        self.updates += 1
        if self.updates <= LATE:
            return self._correct.train_step(placed)
        self.ahead()
        values = self._correct._values
        before = {name: array.copy() for name, array in values.items()}
        result = self._correct.train_step(placed)
        for name, array in values.items():
            array[...] = self.after(name, before[name], array)
        return result

    def ahead(self) -> None:
        """What is done before an update."""

    def after(self, name: str, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        return now


class Frozen(Late):
    """The recurrent weights stay as they are."""

    def after(self, name: str, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        return before if name.endswith("W_hh") else now


class HalfTheRate(Late):
    """Each update goes half as far."""

    def after(self, name: str, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        return (before + now) / 2


class TwiceTheRate(Late):
    """Each update goes twice as far."""

    def after(self, name: str, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        return 2 * now - before


class Forgetting(Late):
    """The optimizer starts anew at each update."""

    def ahead(self) -> None:
        self._correct.load(self._correct.params())


class Stale(Model):
    """Scores with the parameters before the last update."""

    def __init__(self, correct: Any) -> None:
        super().__init__(correct)
        self.before: Params | None = None

    def train_step(self, placed: Any) -> Any:
        self.before = {name: np.array(a) for name, a in self._correct.params().items()}
        return self._correct.train_step(placed)

    def forward(self, placed: Any) -> Any:
        if self.before is None:
            return self._correct.forward(placed)
        values = self._correct._values
        now = {name: array.copy() for name, array in values.items()}
        for name, array in values.items():
            array[...] = self.before[name]
        result = self._correct.forward(placed)
        for name, array in values.items():
            array[...] = now[name]
        return result


def shifted(spec: ModelSpec, batch: Batch) -> Batch:
    """The targets come a step too late."""
    return dataclasses.replace(batch, y=np.roll(batch.y, 1, axis=1))


def other_batch(spec: ModelSpec, batch: Batch) -> Batch:
    """Of a held-out batch, which is larger, the first sequences again and again."""
    rows = np.arange(len(batch.x)) % 32
    return dataclasses.replace(batch, x=batch.x[rows], y=batch.y[rows])


def louder(spec: ModelSpec, host: Host) -> Host:
    """Outputs for many sequences are a little too good."""
    if len(host.get("outputs", ())) <= 32:
        return host
    return host | {"outputs": host["outputs"] * np.float32(1.001)}


WHILE, AFTER = "while it learned: trained loss of updates", "after it learned: outputs off by"
# What is wrong, and what gives it away.
MUTANTS = {
    "recurrent weights frozen from the 13th update on": (Mutation(model=Frozen), WHILE),
    "half the rate from the 13th update on": (Mutation(model=HalfTheRate), WHILE),
    "twice the rate from the 13th update on": (Mutation(model=TwiceTheRate), WHILE),
    "the optimizer reset from the 13th update on": (Mutation(model=Forgetting), WHILE),
    "scored a step behind": (Mutation(model=Stale), AFTER),
    "outputs of many sequences too large": (Mutation(host=louder), AFTER),
    "targets shifted by one": (Mutation(batch=shifted), "loss off by"),
}
