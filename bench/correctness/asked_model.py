"""One model in a worker: built, asked, and each answer compared with the oracle's.

The conformance kit and the checks around a timed workload ask in the same ways.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
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


def rolled(batch: Batch) -> Batch:
    """Its inputs one time step on: another batch, also of a task that has one alone."""
    return dataclasses.replace(batch, x=np.roll(batch.x, 1, axis=1))


@dataclasses.dataclass(frozen=True)
class AskedModel:
    """The model that a worker holds; `ask` is that worker's."""

    ask: Ask
    device: str
    dtype: str
    optimizer: OptimizerSpec | None = None  # None: it is not trained

    def build(self, case: Inputs, spec: ModelSpec | None = None, *, again: bool = False) -> float:
        """Build it, and place the batch; gives the seconds that building took.

        `spec` where it is not the case's: with dropout. `again` within one workload.
        """
        seconds: float = self.ask(
            "build",
            spec=pack_spec(spec or case.spec),
            params=pack(case.params),
            batch=pack_batch(case.batch),
            device=self.device,
            dtype=self.dtype,
            optimizer=pack_spec(self.optimizer) if self.optimizer else None,
            again=again,
        )
        return seconds

    def renew(self, params: Inputs, batch: Inputs | None = None) -> None:
        """The parameters of one, and a batch: its own where no other is given."""
        self.ask("renew", params=pack(params.params), batch=pack_batch((batch or params).batch))

    def call(self, phase: str) -> tuple[float, Tensors]:
        """One call: its seconds, and its result."""
        seconds, packed = self.ask("answer", phase=phase)
        return seconds, unpack(packed)

    def answer(self, case: ReferenceCase, phase: str, when: str) -> Agreement:
        """What one call gives, compared."""
        return self.compare(case, phase, self.call(phase)[1], when)

    def read_late(self, case: ReferenceCase, phase: str, other: ReferenceCase) -> Agreement:
        """A result is what it was when the step was done, whatever is loaded before it is read."""
        packed = self.ask("read_late", phase=phase, params=pack(other.params))
        return self.compare(case, phase, unpack(packed), READ_LATE)

    def loaded_last(self, case: ReferenceCase, phase: str, other: ReferenceCase) -> Agreement:
        """Once more with the parameters loaded last.

        A model that works while a batch is placed has worked with others, and one that works while
        parameters are loaded, for another batch.
        """
        self.renew(other, case)
        others, params = [pack_batch(rolled(other.batch))], pack(case.params)
        packed = self.ask("loaded", phase=phase, params=params, others=others)
        return self.compare(case, phase, unpack(packed), LOADED_LAST)

    def train(self, expected: Reference, steps: int, when: str) -> Agreement:
        """The loss of each of `steps` updates, and the parameters after them."""
        losses, packed = self.ask("train", steps=steps)
        actual = oracle.curve(losses, unpack(packed))
        return comparison.compare(expected, "train_step", actual, when)

    def compare(self, case: ReferenceCase, phase: str, actual: Tensors, when: str) -> Agreement:
        """What a call of `phase` gave."""
        actual = comparison.with_loss(case.spec, actual, case.batch)
        kinds = ("loss", "gradients") if phase == "bptt" else ()
        return comparison.compare(case.expected, phase, actual, when, kinds)
