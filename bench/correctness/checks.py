"""The checks of a variant before it is timed, of its last timed step, and after the rounds."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import msgspec
import numpy as np

from backends import registry
from bench.config import batches, given_params
from bench.correctness import comparison, oracle
from bench.correctness.asked_model import Ask, AskedModel
from bench.correctness.oracle import Reference, ReferenceCase, Tensors
from bench.correctness.skipped_work import SkippedWork
from bench.records.schema import Agreement
from bench.records.workload import Workload
from bench.workers.serialization import unpack
from tasks.spec import OptimizerSpec, init_params

# Length of the loss curve that is compared with the oracle's, in updates.
LEAST_TRAIN_STEPS, MOST_TRAIN_STEPS = 5, 100
AFTER = "after the rounds"


@lru_cache(maxsize=8)
def _reference_case(workload: Workload, seed: int, given: bool) -> ReferenceCase:
    spec = workload.spec
    params = given_params.initial(workload, seed) if given else init_params(spec, seed)
    params, batch = oracle.rounded(workload.dtype, params, batches.of_workload(workload, seed))
    expected = oracle.reference(spec, params, batch, workload.dtype, workload.device)
    return ReferenceCase(spec, params, batch, expected)


def reference_case(workload: Workload, seed: int, *, given: bool = True) -> ReferenceCase:
    """The case of a workload: the same for every variant and phase, in values exact in its dtype.

    The oracle cannot reproduce random masks, so its model has no dropout. Without `given`, all
    parameters are random, even where the workload has some of its own.
    """
    spec = dataclasses.replace(workload.spec, dropout=0.0)
    device = workload.device.partition(":")[0]
    whatever = {"phase": "", "device": device, "threads": 0, "optimizer": None, "overridden": ()}
    return _reference_case(msgspec.structs.replace(workload, spec=spec, **whatever), seed, given)


class WorkloadChecks:
    """The checks of one workload; the worker that answers `ask` holds the variant."""

    def __init__(self, workload: Workload, seed: int) -> None:
        self.workload = workload
        self._first = reference_case(workload, seed)
        self._fresh = reference_case(workload, seed + 1, given=False)
        self._curves: dict[tuple[OptimizerSpec, bool, int], Reference] = {}

    def _model(self, ask: Ask) -> AskedModel:
        workload = self.workload
        return AskedModel(ask, workload.device, workload.dtype, workload.optimizer)

    def build(self, ask: Ask) -> float:
        """Build the model and place the batch; return the seconds that building took."""
        return self._model(ask).build(self._first, self.workload.spec)

    def before(self, ask: Ask, variant: str) -> tuple[float, float | None, Agreement]:
        """Seconds of the first call, the loss, and the comparison of all tensors of the phase.

        A model with dropout is first built and compared without it, then built again with it.
        Dropout does not affect its forward pass, which is compared as well.
        """
        if not self.workload.spec.dropout:
            return self._before(ask, variant)
        model = self._model(ask)
        ask("release")
        model.build(self._first, again=True)
        _, loss, without = self._before(ask, variant)
        ask("release")
        model.build(self._first, self.workload.spec, again=True)
        seconds, _ = model.call(self.workload.phase)
        model.renew(self._first)
        forward = model.answer(self._first, "forward", "with dropout")
        return seconds, loss, comparison.joined([without, forward])

    def _before(self, ask: Ask, variant: str) -> tuple[float, float | None, Agreement]:
        model, phase = self._model(ask), self.workload.phase
        seconds, actual = model.call(phase)
        if phase == "train_step":
            model.renew(self._first)  # the first call has updated the parameters
            actual |= model.call("bptt")[1]
        if phase != "forward":
            actual |= model.call("forward")[1]
        actual = comparison.with_loss(self._first.spec, actual, self._first.batch)
        found = [comparison.compare(self._first.expected, phase, actual)]
        if self.workload.optimizer is not None:
            optimizer = self.workload.optimizer
            found.append(self._train(model, variant, self._first, optimizer, LEAST_TRAIN_STEPS))
        loss = float(actual["loss"]) if "loss" in actual else None
        return seconds, loss, comparison.joined(found)

    def last(self, ask: Ask) -> Agreement | None:
        """Compare the result of the last timed step; None for training, where it is unknown.

        With dropout the comparison is rough: all tensors, finite, and a plausible loss.
        """
        when, phase = "its last timed step", self.workload.phase
        if self._random():
            return self._plausible(unpack(ask("last_answer")), self._first, when)
        if phase == "train_step":
            return None
        return self._model(ask).compare(self._first, phase, unpack(ask("last_answer")), when)

    def after(self, ask: Ask, variant: str, block_steps: int) -> Agreement:
        """Compare with parameters and a batch that the model has not seen.

        A train step is compared over `block_steps` updates, as many as the last timed block made
        since it loaded its parameters, but at most MOST_TRAIN_STEPS.
        """
        model, phase = self._model(ask), self.workload.phase
        model.renew(self._fresh)
        if self._random():
            answers = [model.call(phase)[1] for _ in range(2)]
            found = self._plausible(answers[1], self._fresh, AFTER, answers[0])
            model.renew(self._fresh)
            return comparison.joined([found, model.answer(self._fresh, "forward", AFTER)])
        if self.workload.optimizer is not None:
            steps = min(max(block_steps, LEAST_TRAIN_STEPS), MOST_TRAIN_STEPS)
            optimizer = self.workload.optimizer
            return self._train(model, variant, self._fresh, optimizer, steps, AFTER)
        return comparison.joined(
            [
                model.answer(self._fresh, phase, AFTER),
                model.read_late(self._fresh, phase, self._first),
                model.loaded_last(self._fresh, phase, self._first),
            ]
        )

    def skipped_work(self, ask: Ask, step_seconds: float) -> str | None:
        """A message if a timed step skips work, else None."""
        model = self._model(ask)
        return SkippedWork(self.workload, model, self._first, self._fresh, step_seconds).find()

    def _plausible(
        self, actual: Tensors, case: ReferenceCase, when: str, before: Tensors | None = None
    ) -> Agreement:
        """Check a step that draws masks: its result is plausible and differs from `before`."""
        phase = self.workload.phase
        found = comparison.plausible(case.expected, phase, actual, f"{when}, with masks")
        same = before is not None and all(
            np.array_equal(value, before[name]) for name, value in actual.items() if name in before
        )
        if not same or phase == "train_step":
            return found
        words = f"{when}: two calls give the same result, as if no masks were drawn"
        return msgspec.structs.replace(found, failures=(*found.failures, words))

    def _random(self) -> bool:
        """Whether the timed phase draws masks."""
        return bool(self.workload.spec.dropout) and self.workload.phase != "forward"

    def _train(
        self,
        model: AskedModel,
        variant: str,
        case: ReferenceCase,
        optimizer: OptimizerSpec,
        steps: int,
        when: str = "",
    ) -> Agreement:
        """Train from `case`, and compare with the oracle under the declared optimizer."""
        model.renew(case)
        declared = registry.ask(variant, "optimizer", optimizer)
        key = declared, case is self._first, steps
        if key not in self._curves:
            self._curves[key] = oracle.training_reference(
                case.spec,
                case.params,
                case.batch,
                declared,
                self.workload.dtype,
                steps,
                self.workload.device,
            )
        return model.train(self._curves[key], steps, when)
