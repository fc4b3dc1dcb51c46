"""Checks a whole training: the loss of every update, and what the trained net computes.

Small differences grow while a net learns, until float32 itself no longer tells a correct program
from a wrong one. So the losses are judged stretch by stretch, each with the float32 reference error
until there, and no further than that allows.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from backends import registry
from backends.interface import Model
from bench.correctness import comparison, oracle
from bench.correctness.arithmetics import TanhOff
from bench.correctness.oracle import Reference, Tensors
from bench.correctness.tolerances import (
    COARSER,
    FLOAT64_BOUND,
    SHAKE,
    SHAKES,
    STEP,
    TANH_SHAKE,
    relative_error,
    tanh_error,
)
from bench.records.schema import Agreement
from bench.records.workload import Workload
from tasks.spec import Batch, OptimizerSpec, Params
from tasks.training import TrainingData, rows

MOST_BOUND = 0.02  # a larger one judges nothing
PARTED = 0.01  # relative, of a loss
SHAKE_FLOAT64 = 2.0**-50  # four ulp of float64
TRAINED_ROWS = 16  # sequences whose outputs are compared after the training
WHILE, AFTER = "while it learned", "after it learned"


class Curve:
    """The losses of the oracle and of its shaken runs, as far as they were asked for."""

    def __init__(
        self,
        workload: Workload,
        params: Params,
        batches: TrainingData,
        every: int,
        optimizer: OptimizerSpec,
    ) -> None:
        self._workload, self._data, self._every = workload, batches, every
        self._optimizer = optimizer
        self._exact = self._run(params, "float64")
        self.losses: list[float] = []
        self.errors: list[float] = []  # the reference error until the end of each stretch
        self.bounds: list[float] = []  # of each stretch that is judged
        self._drift = 0.0
        self._shaken = list(self._shaken_runs(params))

    def _run(self, params: Params, dtype: str, ops: Any = None) -> _Run:
        spec, optimizer = self._workload.spec, self._optimizer
        held = optimizer if dtype == "float64" else oracle.in_float32(optimizer)
        options: dict[str, Any] = {"dtype": dtype, "optimizer": held}
        return _Run(registry.oracle(ops).build(spec, params, device="cpu", **options))

    def _shaken_runs(self, params: Params) -> Iterator[_Run]:
        dtype = self._workload.dtype
        size = SHAKE_FLOAT64 if dtype == "float64" else SHAKE["float32"]
        single = "float64" if dtype == "float64" else "float32"
        yield from [] if dtype == "float64" else [self._run(params, single)]
        for seed in range(SHAKES):
            ops = None if dtype == "float64" else TanhOff(0.0, TANH_SHAKE, seed)
            moved, _ = oracle.shaken(params, self._data.held_out, seed, size)
            yield dataclasses.replace(self._run(moved, single, ops), seed=seed, size=size)
        if error := tanh_error(self._workload.device, dtype):
            for sign in (None, 0):
                run = self._run(params, single, TanhOff(error, 0.0, sign))
                yield dataclasses.replace(run, drifts=True)

    def to(self, updates: int) -> None:
        """Go on until so many updates, a multiple of a stretch or the last one."""
        while len(self.losses) < updates:
            begin = len(self.losses)
            end = min(begin + self._every, updates)
            batches = [self._data.batch(update) for update in range(begin + 1, end + 1)]
            exact = np.array([self._exact.loss(batch) for batch in batches])
            self.losses += exact.tolist()
            if self._shaken:
                self._stretch(batches, exact)

    def _stretch(self, batches: Sequence[Batch], exact: np.ndarray) -> None:
        found = {
            run: relative_error(np.array([run.loss(batch) for batch in batches]), exact)
            for run in self._shaken
        }
        single = max(error for run, error in found.items() if not run.drifts)
        self._drift = max([self._drift, *(e for run, e in found.items() if run.drifts)])
        self.errors.append(max([single, *self.errors[-1:]]))
        bound = max(self._least(), self._coarser() * self.errors[-1]) + self._drift
        if bound <= MOST_BOUND:
            self.bounds.append(bound)
        else:
            self._shaken = []  # from here on nothing is judged

    def _least(self) -> float:
        workload = self._workload
        if workload.dtype == "float64":
            return FLOAT64_BOUND
        return STEP[workload.dtype] * math.sqrt(workload.steps) * len(self.losses)

    def _coarser(self) -> float:
        return COARSER.get(self._workload.dtype, COARSER["float32"])

    def judged(self, updates: int) -> int:
        """How many of the first `updates` losses can be judged."""
        return min(updates, len(self.bounds) * self._every)

    def stretches(self, losses: Sequence[float]) -> Tensors:
        """The losses of each stretch that can be judged, as tensors by their names."""
        last = self.judged(len(losses))
        starts = range(0, last, self._every)
        return {
            f"trained loss of updates {begin + 1} to {min(begin + self._every, last)}": np.asarray(
                losses[begin : min(begin + self._every, last)], np.float64
            )
            for begin in starts
        }


@dataclasses.dataclass(frozen=True, eq=False)
class _Run:
    """One training by the numpy backend; `size` is by how much its inputs are changed."""

    model: Model
    seed: int = 0
    size: float = 0.0
    drifts: bool = False  # with the fast tanh of a device

    def loss(self, batch: Batch) -> float:
        if self.size:
            _, batch = oracle.shaken({}, batch, self.seed, self.size)
        model = self.model
        return float(model.to_host(model.train_step(model.place(batch)))["loss"])


class LearningChecks:
    """Judges the trainings of one workload."""

    def __init__(self, workload: Workload, params: Params, data: TrainingData, every: int) -> None:
        """`params` and the batches are exact in the dtype of the workload."""
        self._workload, self._params, self._data, self._every = workload, params, data, every
        self._curves: dict[OptimizerSpec, Curve] = {}

    def curve(self, variant: str, updates: int) -> Curve:
        """The oracle's, with the optimizer as the variant declares it."""
        assert self._workload.optimizer is not None
        declared = registry.ask(variant, "optimizer", self._workload.optimizer)
        if declared not in self._curves:
            about = (self._workload, self._params, self._data, self._every, declared)
            self._curves[declared] = Curve(*about)
        found = self._curves[declared]
        found.to(updates)
        return found

    @property
    def longest(self) -> Curve | None:
        """The curve that was followed furthest; None without one."""
        return max(self._curves.values(), key=lambda curve: len(curve.losses), default=None)

    @cached_property
    def _random(self) -> bool:
        """Whether updates draw masks, which no oracle can follow."""
        return bool(self._workload.spec.dropout)

    def losses(self, variant: str, losses: Sequence[float]) -> tuple[Agreement | None, int]:
        """The comparison of the losses of all updates, and how many of them can be judged."""
        if self._random:
            return None, 0
        curve = self.curve(variant, len(losses))
        expected, actual = curve.stretches(curve.losses), curve.stretches(losses)
        if not actual:
            return None, 0
        expected = {name: value[: len(actual[name])] for name, value in expected.items()
                    if name in actual}  # fmt: skip
        bounds = dict(zip(expected, curve.bounds, strict=False))
        reference = Reference(self._workload.dtype, expected, bounds, self._workload.device)
        found = comparison.compare(reference, "train_step", actual, WHILE)
        return found, curve.judged(len(losses))

    def errors(self, variant: str, losses: Sequence[float]) -> list[float]:
        """The relative error of the losses of each stretch, whether or not it can be judged."""
        if self._random:
            return []
        exact = self.curve(variant, len(losses)).losses
        starts = range(0, len(losses), self._every)
        parts = [slice(begin, min(begin + self._every, len(losses))) for begin in starts]
        return [relative_error(np.array(losses[p]), np.array(exact[p])) for p in parts]

    def parted(self, variant: str, losses: Sequence[float]) -> int | None:
        """The first update whose loss is off by more than PARTED of the oracle's; None if none."""
        if self._random:
            return None
        exact = np.array(self.curve(variant, len(losses)).losses[: len(losses)])
        off = ~(np.abs(np.asarray(losses) - exact) <= PARTED * np.abs(exact))
        return int(off.argmax()) + 1 if off.any() else None

    def outputs(self, params: Params, outputs: np.ndarray) -> Agreement:
        """Compare the outputs of a trained net with the oracle's from the same parameters."""
        spec = dataclasses.replace(self._workload.spec, dropout=0.0)
        dtype, device = self._workload.dtype, self._workload.device
        first = slice(TRAINED_ROWS)
        params, batch = oracle.rounded(dtype, params, rows(self._data.held_out, first))
        expected = oracle.reference(spec, params, batch, dtype, device)
        actual = {"outputs": outputs[first]}
        return comparison.compare(expected, "forward", actual, AFTER, ("outputs",))
