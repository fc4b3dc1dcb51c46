"""One model in a worker: built, called, and each result compared with the oracle.

The conformance kit and the checks around a timed workload share this code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.correctness import comparison, oracle
from bench.correctness.oracle import Inputs, Reference, ReferenceCase, Tensors
from bench.records.schema import Agreement
from bench.workers.serialization import pack, pack_batch, pack_spec, unpack
from tasks.spec import Batch, ModelSpec, OptimizerSpec

Ask = Callable[..., Any]  # (operation, **arguments) -> the worker's answer

READ_LATE = "read after other parameters were loaded"
LOADED_LAST = "with parameters loaded after the batch was placed"


def rolled(batch: Batch, steps: int = 1) -> Batch:
    """Its inputs shifted by some time steps: another batch, even for a task with only one."""
    return dataclasses.replace(batch, x=np.roll(batch.x, steps, axis=1))


@dataclasses.dataclass(frozen=True)
class AskedModel:
    """The model in a worker, which answers `ask`."""

    ask: Ask
    device: str
    dtype: str
    optimizer: OptimizerSpec | None = None  # None: not trained
    feature: str = ""  # "stream": its batches are streams; "stateful": its steps carry the state

    def build(
        self,
        case: Inputs,
        spec: ModelSpec | None = None,
        *,
        others: Sequence[Inputs] = (),
        again: bool = False,
    ) -> float:
        """Build it and place the batch; return the seconds that building took.

        `spec` replaces that of the case, to add dropout. Timed steps also take the batches of
        `others`. `again` marks a further build of one workload.
        """
        seconds: float = self.ask(
            "build",
            spec=pack_spec(spec or case.spec),
            params=pack(case.params),
            batches=[pack_batch(each.batch) for each in (case, *others)],
            device=self.device,
            dtype=self.dtype,
            optimizer=pack_spec(self.optimizer) if self.optimizer else None,
            again=again,
            feature=self.feature,
        )
        return seconds

    def renew(self, params: Inputs, batch: Inputs | None = None) -> None:
        """Load the parameters of `params`; place the batch of `batch`, by default of `params`."""
        self.ask("renew", params=pack(params.params), batch=pack_batch((batch or params).batch))

    def reload(self, params: Inputs) -> None:
        """Load the parameters of `params`; the placed batches stay."""
        self.ask("reload", params=pack(params.params))

    def call(self, phase: str) -> tuple[float, Tensors]:
        """Make one call; return its seconds and its result."""
        seconds, packed = self.ask("answer", phase=phase)
        return seconds, unpack(packed)

    def answer(self, case: ReferenceCase, phase: str, when: str) -> Agreement:
        """Make one call and compare its result."""
        return self.compare(case, phase, self.call(phase)[1], when)

    def read_late(self, case: ReferenceCase, phase: str, other: ReferenceCase) -> Agreement:
        """Load other parameters before the result is read: they must not change it."""
        packed = self.ask("read_late", phase=phase, params=pack(other.params))
        return self.compare(case, phase, unpack(packed), READ_LATE)

    def loaded_last(self, case: ReferenceCase, phase: str, other: ReferenceCase) -> Agreement:
        """Load the parameters after the batch was placed and another batch was stepped through.

        A model that computes while placing would use the wrong parameters, and one that computes
        while loading would use the wrong batch.
        """
        self.renew(other, case)
        others, params = [pack_batch(rolled(other.batch))], pack(case.params)
        packed = self.ask("loaded", phase=phase, params=params, others=others)
        return self.compare(case, phase, unpack(packed), LOADED_LAST)

    def train(self, expected: Reference, steps: int, when: str) -> Agreement:
        """Make `steps` updates; compare each loss, and parameters and carried states after them."""
        losses, packed = self.ask("train", steps=steps)
        actual = oracle.curve(losses, unpack(packed))
        return comparison.compare(expected, "train_step", actual, when)

    def compare(self, case: ReferenceCase, phase: str, actual: Tensors, when: str) -> Agreement:
        """Compare the result of a call of `phase`."""
        actual = comparison.with_loss(case.spec, actual, case.batch)
        kinds = ("loss", "gradients") if phase == "bptt" else ()
        return comparison.compare(case.expected, phase, actual, when, kinds)
