"""Backends whose answers are right when first asked for, in less time than computing them takes.

Each is the numpy backend with one member changed. They are found by the clock or by a second
question; where steps are small, some of them by the second alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mutants import Backend, Kept, Model


class Lazy(Model):
    """Nothing is computed before the result is read."""

    def bptt(self, placed: Any) -> Any:
        return lambda: self._correct.to_host(self._correct.bptt(placed))

    def to_host(self, result: Any) -> Any:
        return result() if callable(result) else self._correct.to_host(result)


class LazyOnce(Lazy):
    """The same, and what was read once is kept."""

    def bptt(self, placed: Any) -> Any:
        kept: list[Any] = []

        def read() -> Any:
            if not kept:
                kept.append(self._correct.to_host(self._correct.bptt(placed)))
            return kept[0]

        return read


class Memo(Model):
    """Computes once for parameters and batch, and answers from memory until either is new."""

    def __init__(self, correct: Any) -> None:
        super().__init__(correct)
        self.kept: dict[Any, Any] = {}

    def key(self, placed: Any) -> Any:
        return id(placed)

    def load(self, params: Any) -> None:
        self.kept.clear()
        self._correct.load(params)

    def bptt(self, placed: Any) -> Any:
        key = self.key(placed)
        if key not in self.kept:
            host = self._correct.to_host(self._correct.bptt(placed))
            self.kept[key] = {name: np.array(value) for name, value in host.items()}
        return self.kept[key]

    def to_host(self, result: Any) -> Any:
        return result if isinstance(result, dict) else self._correct.to_host(result)


class MemoOfParameters(Memo):
    """Answers from memory until parameters are loaded, whatever batch it is called with."""

    def key(self, placed: Any) -> Any:
        return "whatever"


class SkippingGradients(Memo):
    """Goes forward at every call, and back only where parameters or batch are new."""

    def bptt(self, placed: Any) -> Any:
        if self.key(placed) in self.kept:
            self._correct.forward(placed)
        return super().bptt(placed)


class LateMemo(Memo):
    """Answers from memory from the fourth call on."""

    calls = 0

    def load(self, params: Any) -> None:
        self.calls = 0
        super().load(params)

    def bptt(self, placed: Any) -> Any:
        self.calls += 1
        if self.calls < 4:
            return self._correct.bptt(placed)
        return super().bptt(placed)


class MemoAhead(Memo):
    """The same, and computes for the two batches after it as well: few first calls take long."""

    def __init__(self, correct: Any) -> None:
        super().__init__(correct)
        self.placed: list[Any] = []

    def place(self, batch: Any) -> Any:
        placed = self._correct.place(batch)
        self.placed.append(placed)
        return placed

    def bptt(self, placed: Any) -> Any:
        if self.key(placed) not in self.kept:
            at = next(n for n, one in enumerate(self.placed) if one is placed)
            for ahead in self.placed[at + 1 : at + 3]:
                super().bptt(ahead)
        return super().bptt(placed)


class LazyCopy(Lazy):
    """Nothing is computed before the result is read, then with the parameters of the call."""

    def bptt(self, placed: Any) -> Any:
        params = self._correct.params()

        def read() -> Any:
            now = self._correct.params()
            self._correct.load(params)
            host = self._correct.to_host(self._correct.bptt(placed))
            host = {name: value.copy() for name, value in host.items()}
            self._correct.load(now)
            return host

        return read


class InLoad(Kept):
    """The work is done while parameters are loaded, for every batch that is placed."""

    def __init__(self, correct: Any) -> None:
        super().__init__(correct)
        self.batches: list[Any] = []
        self.answers: dict[int, Any] = {}

    def work(self, placed: Any) -> None:
        self.answers[id(placed)] = {phase: self.now(phase, placed) for phase in ("forward", "bptt")}

    def load(self, params: Any) -> None:
        self._correct.load(params)
        for placed in self.batches:
            self.work(placed)

    def place(self, batch: Any) -> Any:
        placed = self._correct.place(batch)
        self.batches.append(placed)
        self.work(placed)
        return placed

    def forward(self, placed: Any) -> Any:
        return self.answers[id(placed)]["forward"]

    def bptt(self, placed: Any) -> Any:
        return self.answers[id(placed)]["bptt"]


class InLoadForOne(InLoad):
    """The same for the batch that was placed last; what comes with another is computed then."""

    def place(self, batch: Any) -> Any:
        self.batches.clear()
        self.answers.clear()
        return super().place(batch)

    def forward(self, placed: Any) -> Any:
        answer = self.answers.get(id(placed))
        return answer["forward"] if answer else self._correct.forward(placed)

    def bptt(self, placed: Any) -> Any:
        answer = self.answers.get(id(placed))
        return answer["bptt"] if answer else self._correct.bptt(placed)


class FrozenTraining(Model):
    """Stops updating after some steps, and gives the last loss again."""

    most = 12
    count = 0
    last: Any = None

    def load(self, params: Any) -> None:
        self.count = 0
        self._correct.load(params)

    def train_step(self, placed: Any) -> Any:
        self.count += 1
        if self.count <= self.most:
            self.last = self._correct.to_host(self._correct.train_step(placed))
        return self.last

    def to_host(self, result: Any) -> Any:
        return result if isinstance(result, dict) else self._correct.to_host(result)


class FrozenLate(FrozenTraining):
    """Updates as often as the checks compare updates."""

    most = 100


def lazy() -> Backend:
    return Backend("lazy", Lazy)


def lazy_once() -> Backend:
    return Backend("lazy-once", LazyOnce)


def memo() -> Backend:
    return Backend("memo", Memo)


def memo_ahead() -> Backend:
    return Backend("memo-ahead", MemoAhead)


def skipping_gradients() -> Backend:
    return Backend("skipping-gradients", SkippingGradients)


def frozen_training() -> Backend:
    return Backend("frozen-training", FrozenTraining)


def memo_of_parameters() -> Backend:
    return Backend("memo-of-parameters", MemoOfParameters)


def late_memo() -> Backend:
    return Backend("late-memo", LateMemo)


def lazy_copy() -> Backend:
    return Backend("lazy-copy", LazyCopy)


def in_load() -> Backend:
    return Backend("in-load", InLoad)


def in_load_for_one() -> Backend:
    return Backend("in-load-for-one", InLoadForOne)


def frozen_late() -> Backend:
    return Backend("frozen-late", FrozenLate)


SKIPPING = (
    "lazy",
    "lazy-once",
    "lazy-copy",
    "memo",
    "memo-ahead",
    "memo-of-parameters",
    "late-memo",
    "in-load",
    "in-load-for-one",
    "skipping-gradients",
    "frozen-training",
    "frozen-late",
)
ENTRY_POINTS = {name: f"mutants_by_the_clock:{name.replace('-', '_')}" for name in SKIPPING}
