"""Backends that are wrong in some of their calls alone, by a habit that a few questions can miss.

Each is the numpy backend with one member changed. A habit counts the calls, in every phase.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from mutants import Model

Host = dict[str, Any]


class Habit(Model):
    """Computes rightly, but for the calls that `odd` picks by their number, from 1."""

    every = 7

    def __init__(self, correct: Any) -> None:
        super().__init__(correct)
        self.calls = 0
        self.before: Host | None = None

    def odd(self) -> bool:
        return self.calls % self.every == 0

    def wrong(self, phase: str, placed: Any) -> Host:
        raise NotImplementedError

    def call(self, phase: str, placed: Any) -> Host:
        self.calls += 1
        found = self.wrong(phase, placed) if self.odd() else self.now(phase, placed)
        self.before = found
        return found

    def now(self, phase: str, placed: Any) -> Host:
        host = self._correct.to_host(getattr(self._correct, phase)(placed))
        return {name: np.array(value) for name, value in host.items()}

    def forward(self, placed: Any) -> Host:
        return self.call("forward", placed)

    def bptt(self, placed: Any) -> Host:
        return self.call("bptt", placed)

    def train_step(self, placed: Any) -> Host:
        return self.call("train_step", placed)

    def to_host(self, result: Any) -> Host:
        return dict(result)


class RemembersEveryThird(Habit):
    """Answers every third call from memory."""

    every = 3

    def wrong(self, phase: str, placed: Any) -> Host:
        same = self.before is not None and (phase == "forward") == ("outputs" in self.before)
        return self.before if self.before is not None and same else self.now(phase, placed)


class RemembersEverySecond(RemembersEveryThird):
    """Answers every second call from memory."""

    every = 2


class OneBehind(RemembersEveryThird):
    """Answers every call with the result of the one before it."""

    def call(self, phase: str, placed: Any) -> Host:
        found = self.now(phase, placed)
        before, self.before = self.before, found
        same = before is not None and (phase == "forward") == ("outputs" in before)
        return before if before is not None and same else found


class DoublesGradients(Habit):
    """Gradients are twice as large in one call of seven."""

    def wrong(self, phase: str, placed: Any) -> Host:
        found = self.now(phase, placed)
        return {n: value * (2 if n.startswith("grad.") else 1) for n, value in found.items()}


class ForgetsOneGradient(Habit):
    """The gradient of the recurrent weights is zero in one call of seven."""

    def wrong(self, phase: str, placed: Any) -> Host:
        found = self.now(phase, placed)
        return {n: value * (0 if n.endswith("W_hh") else 1) for n, value in found.items()}


class Noisy(Habit):
    """Every tensor is off by a thousandth in one call of five."""

    every = 5

    def wrong(self, phase: str, placed: Any) -> Host:
        return {name: value * (1 + 1e-3) for name, value in self.now(phase, placed).items()}


class LeavesOutTheLastStep(Habit):
    """Leaves out the last time step from the 21st call on."""

    def odd(self) -> bool:
        return self.calls > 20

    def wrong(self, phase: str, placed: Any) -> Host:
        if placed.x.ndim == 3:
            x = np.concatenate([placed.x[:, :-1], np.zeros_like(placed.x[:, -1:])], axis=1)
        else:
            x = np.concatenate([placed.x[:, :-1], placed.x[:, :1]], axis=1)
        return self.now(phase, dataclasses.replace(placed, x=x))


class MixesBatches(Habit):
    """Takes the first row from the batch of the call before, in one call of four."""

    every = 4
    last: Any = None

    def call(self, phase: str, placed: Any) -> Host:
        found = super().call(phase, placed)
        self.last = placed
        return found

    def wrong(self, phase: str, placed: Any) -> Host:
        if self.last is None or self.last.x.shape != placed.x.shape:
            return self.now(phase, placed)
        x = placed.x.copy()
        x[0] = self.last.x[0]
        return self.now(phase, dataclasses.replace(placed, x=x))


class UpdatesTwice(Habit):
    """Makes two updates in one train step of six."""

    every = 6

    def wrong(self, phase: str, placed: Any) -> Host:
        found = self.now(phase, placed)
        return self.now(phase, placed) if phase == "train_step" else found


class UpdatesNot(Habit):
    """Makes no update in one train step of six."""

    every = 6

    def wrong(self, phase: str, placed: Any) -> Host:
        if phase != "train_step":
            return self.now(phase, placed)
        return {"loss": self.now("bptt", placed)["loss"]}


class ComputedWhenSynced(Model):
    """Nothing is computed before the result is synced or read."""

    def bptt(self, placed: Any) -> Any:
        return [placed, None]

    def sync(self, result: Any) -> None:
        if isinstance(result, list) and result[1] is None:
            host = self._correct.to_host(self._correct.bptt(result[0]))
            result[1] = {name: np.array(value) for name, value in host.items()}

    def to_host(self, result: Any) -> Any:
        if not isinstance(result, list):
            return self._correct.to_host(result)
        self.sync(result)
        return result[1]


# Name -> (the model, the phase in which a run times it, what the checks find).
HABITS: dict[str, tuple[type[Model], str, str]] = {
    "remembers every third answer": (RemembersEveryThird, "bptt", "during the rounds"),
    "remembers every second answer": (RemembersEverySecond, "forward", "during the rounds"),
    "one answer behind": (OneBehind, "bptt", "off by"),
    "doubles gradients in one call of seven": (DoublesGradients, "bptt", "during the rounds"),
    "a gradient forgotten in one call of seven": (ForgetsOneGradient, "bptt", "W_hh off by"),
    "off by a thousandth in one call of five": (Noisy, "forward", "during the rounds"),
    "leaves out the last step from its 21st call": (LeavesOutTheLastStep, "bptt", "during"),
    "a row of another batch in one call of four": (MixesBatches, "forward", "during the rounds"),
    "two updates in one train step of six": (UpdatesTwice, "train_step", "trained"),
    "no update in one train step of six": (UpdatesNot, "train_step", "trained"),
}
