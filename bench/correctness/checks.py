"""The checks of a variant before it is timed, of its last timed step, and after the rounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec
import numpy as np

from backends import registry
from bench.config import batches, given_params
from bench.config.phases import STREAM
from bench.correctness import comparison, oracle
from bench.correctness.asked_model import Ask, AskedModel, rolled
from bench.correctness.dropout import wrong_masks
from bench.correctness.judged_answers import DURING, Judge, JudgedAnswers
from bench.correctness.oracle import Reference, ReferenceCase, Tensors
from bench.correctness.skipped_work import BATCHES, SkippedWork, TimedBlock
from bench.records.schema import Agreement
from bench.records.workload import Workload
from bench.workers.serialization import unpack
from tasks.flops import FORWARD
from tasks.spec import Batch, OptimizerSpec, Params, init_params

# Length of the loss curve that is compared with the oracle's, in updates.
LEAST_TRAIN_STEPS, MOST_TRAIN_STEPS = 5, 100
# An emulation of bfloat16 takes ten times as long as float32, and there are nine of them.
MOST_IN_BFLOAT16 = 20
AFTER = "after the rounds"
SEED_STEP = 10_000  # of the batches of the timed steps


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
    return _reference_case(_without_phase(workload), seed, given)


def _without_phase(workload: Workload) -> Workload:
    """What decides the results of the oracle, and so is equal for all phases and variants."""
    spec = dataclasses.replace(workload.spec, dropout=0.0)
    device = workload.device.partition(":")[0]
    whatever = {"phase": "", "device": device, "threads": 0, "optimizer": None, "overridden": ()}
    return msgspec.structs.replace(workload, spec=spec, stateful=False, **whatever)


def other_batches(workload: Workload, first: Batch, seed: int) -> list[Batch]:
    """The further batches of the timed steps; a task with a single batch has it shifted in time."""
    drawn = [batches.of_workload(workload, seed + SEED_STEP * n) for n in range(1, BATCHES)]
    return [
        rolled(batch, number) if np.array_equal(batch.x, first.x) else batch
        for number, batch in enumerate(drawn, 1)
    ]


@lru_cache(maxsize=8)
def _timed_cases(workload: Workload, seed: int) -> list[ReferenceCase]:
    """The case of a workload, and the same model on its further batches."""
    first = _reference_case(workload, seed, given=True)
    if workload.steps_vary:
        return [
            first,
            *(
                _reference_case(batches.at_steps(workload, steps), seed, given=True)
                for steps in reversed(workload.steps_vary[:-1])
            ),
        ]
    others = other_batches(workload, batches.of_workload(workload, seed), seed)
    return [first, *(oracle.another(first, batch) for batch in others)]


class WorkloadChecks:
    """The checks of one workload; the worker that answers `ask` holds the variant.

    Without `timed` there are no rounds, and so no further batches.
    """

    def __init__(self, workload: Workload, seed: int, *, timed: bool = True) -> None:
        self.workload = workload
        self._first = reference_case(workload, seed)
        timed_cases = _timed_cases(_without_phase(workload), seed) if timed else []
        self._cases = timed_cases or [self._first]
        self._fresh = reference_case(workload, seed + 1, given=False)
        self._curves: dict[tuple[OptimizerSpec, str, int], Reference] = {}

    @property
    def params(self) -> Params:
        """The parameters that every variant starts from, exact in the dtype of the workload."""
        return self._first.params

    def _model(self, ask: Ask) -> AskedModel:
        workload = self.workload
        feature = STREAM if workload.phase == STREAM else "stateful" if workload.stateful else ""
        return AskedModel(ask, workload.device, workload.dtype, workload.optimizer, feature)

    def build(self, ask: Ask) -> float:
        """Build the model and place the batches; return the seconds that building took."""
        return self._model(ask).build(self._first, self.workload.spec, others=self._cases[1:])

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
        model.build(self._first, self.workload.spec, others=self._cases[1:], again=True)
        seconds, _ = model.call(self.workload.phase)
        model.reload(self._first)
        forward = model.answer(self._first, "forward", "with dropout")
        return seconds, loss, comparison.joined([without, forward])

    def _before(self, ask: Ask, variant: str) -> tuple[float, float | None, Agreement]:
        model, phase = self._model(ask), self.workload.phase
        seconds, actual = model.call(phase)
        if phase == "train_step":
            model.reload(self._first)  # the first call has updated the parameters
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
        if phase == "train_step" and not self._random():
            return None
        number, packed = ask("last_answer")
        if self._random():
            return self._plausible(unpack(packed), self._cases[number], when)
        return self._model(ask).compare(self._cases[number], phase, unpack(packed), when)

    def looks(self, ask: Ask, variant: str) -> Judge | None:
        """What judges the answers during the rounds; None where masks make each one different."""
        if self._random():
            return None
        model, phase = self._model(ask), self.workload.phase

        def compare(number: int, actual: Tensors) -> Agreement:
            case = self._cases[number]
            if self.workload.optimizer is None:
                return model.compare(case, phase, actual, DURING)
            after = {name: value for name, value in actual.items() if name != "loss"}
            expected = self._curve(variant, case, str(number), self.workload.optimizer, 1)
            curve = oracle.curve([float(actual["loss"])], after)
            return comparison.compare(expected, phase, curve, DURING)

        return JudgedAnswers(ask, phase, compare)

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
            case = dataclasses.replace(self._fresh, spec=self.workload.spec)
            if message := wrong_masks(model, case):
                words = f"{AFTER}: {message}"
                found = msgspec.structs.replace(found, failures=(*found.failures, words))
            model.renew(self._fresh)
            return comparison.joined([found, model.answer(self._fresh, "forward", AFTER)])
        if self.workload.optimizer is not None:
            mixed = self.workload.dtype == "bfloat16"
            most = MOST_IN_BFLOAT16 if mixed else MOST_TRAIN_STEPS
            steps = min(max(block_steps, LEAST_TRAIN_STEPS), most)
            optimizer = self.workload.optimizer
            return self._train(model, variant, self._fresh, optimizer, steps, AFTER)
        return comparison.joined(
            [
                model.answer(self._fresh, phase, AFTER),
                model.read_late(self._fresh, phase, self._first),
                model.loaded_last(self._fresh, phase, self._first),
            ]
        )

    def skipped_work(
        self,
        ask: Ask,
        step_seconds: float,
        throughput_seconds: float | None = None,
        blocks: Sequence[TimedBlock] = (),
    ) -> str | None:
        """A message if a timed step skips work, else None."""
        cases = self._model(ask), self._first, self._fresh
        times = step_seconds, throughput_seconds, blocks
        return SkippedWork(self.workload, *cases, *times).find()

    def skipped_work_at(self, ask: Ask, seconds: Mapping[int, float]) -> str | None:
        """The same where T varies, for each T with the seconds of its step."""
        for steps, step_seconds in seconds.items():
            workload, model = batches.at_steps(self.workload, steps), self._model(ask)
            (first,) = (case for case in self._cases if case.batch.x.shape[1] == steps)
            model.renew(first)
            fresh = dataclasses.replace(first, params=self._fresh.params)
            found = SkippedWork(workload, model, first, fresh, step_seconds).find()
            if found is not None:
                return f"with T {steps}, {found}"
        return None

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
        return bool(self.workload.spec.dropout) and self.workload.phase not in FORWARD

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
        first = case is self._first
        (model.reload if first else model.renew)(case)
        which = "0" if first else "fresh"
        return model.train(self._curve(variant, case, which, optimizer, steps), steps, when)

    def _curve(
        self,
        variant: str,
        case: ReferenceCase,
        which: str,
        optimizer: OptimizerSpec,
        steps: int,
    ) -> Reference:
        """The oracle's curve from `case`, which `which` names, as the variant declares it."""
        declared = registry.ask(variant, "optimizer", optimizer)
        key = declared, which, steps
        if key not in self._curves:
            self._curves[key] = oracle.training_reference(
                case.spec,
                case.params,
                case.batch,
                declared,
                self.workload.dtype,
                steps,
                self.workload.device,
                stateful=self.workload.stateful,
            )
        return self._curves[key]
