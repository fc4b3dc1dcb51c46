"""What one variant in one cell is asked before it is timed, by its last timed step, and after."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from backends import registry
from bench import agreement, record
from bench.agreement import Reference, Tensors
from bench.grid import Cell
from bench.wire import pack, pack_batch, unpack
from tasks import TASKS
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params, init_params
from tasks.task import Size

Ask = Callable[..., Any]  # (operation, **arguments) -> the worker's answer

# Updates of a loss curve that must stay with the oracle's.
LEAST_TRAIN_STEPS, MOST_TRAIN_STEPS = 5, 100

# A step whose sync waits takes as long without it; one whose sync does not wait takes longer
# than it pretends. Honest variants stay near 1, and a disturbance passes when tried again.
UNSYNCED_LIMIT = 1.5
UNSYNCED_TRIES = 3
UNSYNCED_SECONDS = 0.05

# Reading a result is copying it: so long at most a tensor and a byte, and half a step besides. A
# result that is only computed when it is read takes longer.
READING_SECONDS_A_TENSOR = 0.2e-3
READING_SECONDS_A_BYTE = 2e-9
READING_STEPS = 0.5

# The first call on new parameters is a step like any other. A model that answers from memory, or
# that does only part of the work while nothing changes, takes longer for it. What comes again is
# at first tried as often as there is time for, then for as long as a side of the rounds has.
MOST_TRIES, TRYING_SECONDS = 4, 0.25
AGAIN = 3
FIRST_LIMIT, ROUNDS_LIMIT = 1.5, 2.5
FIRST_SECONDS = 20e-6
MOST_BATCHES, MOST_AGAIN = 32, 200
ROUNDS_SECONDS = 1.0
LATER_SEEDS = 1000  # of batches that nothing else is asked about


@dataclass(frozen=True)
class Drawn:
    """Parameters and a batch from a seed, and what the oracle makes of them."""

    params: Params
    batch: Batch
    expected: Reference


@lru_cache(maxsize=8)
def draw(task: str, size: Size, spec: ModelSpec, dtype: str, seed: int) -> Drawn:
    """The same for every variant and phase, with values that `dtype` can hold."""
    params, batch = init_params(spec, seed), TASKS[task].batch(size, seed)
    params, batch = agreement.rounded(dtype, params, batch)
    return Drawn(params, batch, agreement.reference(spec, params, batch, dtype))


def _rolled(batch: Batch) -> Batch:
    """Its inputs one time step on: another batch, also of a task that has one alone."""
    return dataclasses.replace(batch, x=np.roll(batch.x, 1, axis=1))


class Gate:
    """The checks of one cell; `ask` in each is one worker's."""

    def __init__(self, cell: Cell, seed: int) -> None:
        self.cell = cell
        # Random masks have no oracle: what is compared is the same model without its dropout.
        self._spec = dataclasses.replace(cell.spec, dropout=0.0)
        self._first = draw(cell.task, cell.size, self._spec, cell.dtype, seed)
        self._fresh = draw(cell.task, cell.size, self._spec, cell.dtype, seed + 1)
        self._curves: dict[tuple[OptimizerSpec, bool, int], Reference] = {}

    def build(self, ask: Ask, spec: ModelSpec | None = None, *, again: bool = False) -> float:
        """Have the model built and the batch placed; gives the seconds that building took."""
        optimizer = self.cell.optimizer
        seconds: float = ask(
            "build",
            spec=dataclasses.asdict(spec or self.cell.spec),
            params=pack(self._first.params),
            batch=pack_batch(self._first.batch),
            device=self.cell.device,
            dtype=self.cell.dtype,
            optimizer=dataclasses.asdict(optimizer) if optimizer else None,
            again=again,
        )
        return seconds

    def before(self, ask: Ask, variant: str) -> tuple[float, float | None, record.Agreement]:
        """Seconds of the first call, the loss, and everything the phase answers for, compared.

        A model with dropout is compared without it, then built again; its forward pass, which
        dropout leaves alone, is compared as well.
        """
        if not self.cell.spec.dropout:
            return self._before(ask, variant)
        ask("release")
        self.build(ask, self._spec, again=True)
        _, loss, without = self._before(ask, variant)
        ask("release")
        self.build(ask, again=True)
        seconds, _ = ask("answer", phase=self.cell.phase)
        self._renew(ask, self._first)
        forward = self._forward(ask, self._first, "with dropout")
        return seconds, loss, agreement.joined([without, forward])

    def _forward(self, ask: Ask, drawn: Drawn, when: str) -> record.Agreement:
        actual = unpack(ask("answer", phase="forward")[1])
        actual = agreement.with_loss(self._spec, actual, drawn.batch)
        return agreement.compare(drawn.expected, "forward", actual, when)

    def _before(self, ask: Ask, variant: str) -> tuple[float, float | None, record.Agreement]:
        phase = self.cell.phase
        seconds, answer = ask("answer", phase=phase)
        actual = unpack(answer)
        if phase == "train_step":
            self._renew(ask, self._first)  # the first call has moved the parameters
            actual |= unpack(ask("answer", phase="bptt")[1])
        if phase != "forward":
            actual |= unpack(ask("answer", phase="forward")[1])
        actual = agreement.with_loss(self._spec, actual, self._first.batch)
        found = [agreement.compare(self._first.expected, phase, actual)]
        if phase == "train_step":
            found.append(self._train(ask, variant, self._first, LEAST_TRAIN_STEPS))
        loss = float(actual["loss"]) if "loss" in actual else None
        return seconds, loss, agreement.joined(found)

    def last(self, ask: Ask) -> record.Agreement | None:
        """What the last timed step gave; None where it cannot be known: training.

        With dropout it can be roughly: all tensors, finite, and a loss not far from that without.
        """
        when = "its last timed step"
        if self._random():
            return self._plausible(unpack(ask("last_answer")), self._first, when)
        if self.cell.phase == "train_step":
            return None
        return self._answered(unpack(ask("last_answer")), self._first, when)

    def after(self, ask: Ask, variant: str, block_steps: int) -> record.Agreement:
        """Parameters and a batch that the model has not seen.

        A train step goes on for the `block_steps` updates that the last timed block made since it
        loaded its parameters, or for MOST_TRAIN_STEPS.
        """
        self._renew(ask, self._fresh)
        phase, when = self.cell.phase, "after the rounds"
        if self._random():
            answers = [unpack(ask("answer", phase=phase)[1]) for _ in range(2)]
            found = [self._plausible(answers[1], self._fresh, when, answers[0])]
            self._renew(ask, self._fresh)
            return agreement.joined([*found, self._forward(ask, self._fresh, when)])
        if phase == "train_step":
            steps = min(max(block_steps, LEAST_TRAIN_STEPS), MOST_TRAIN_STEPS)
            return self._train(ask, variant, self._fresh, steps, when)
        answer = unpack(ask("answer", phase=phase)[1])
        found = [self._answered(answer, self._fresh, when)]
        # A result is what it was when the step was done, whatever is loaded before it is read.
        answer = unpack(ask("read_late", phase=phase, params=pack(self._first.params)))
        when = "read after other parameters were loaded"
        found.append(self._answered(answer, self._fresh, when))
        # Once more with the parameters loaded last: a model that works while a batch is placed
        # has worked with others, and one that works while parameters are loaded, for another batch.
        self._renew(ask, self._first, self._fresh)
        others, params = [pack_batch(_rolled(self._first.batch))], pack(self._fresh.params)
        answer = unpack(ask("loaded", phase=phase, params=params, others=others))
        when = "with parameters loaded after the batch was placed"
        found.append(self._answered(answer, self._fresh, when))
        return agreement.joined(found)

    def _plausible(
        self, actual: Tensors, drawn: Drawn, when: str, before: Tensors | None = None
    ) -> record.Agreement:
        """Of a step that draws masks: as far as can be said; and not the same as `before`."""
        found = agreement.plausible(drawn.expected, self.cell.phase, actual, f"{when}, with masks")
        same = before is not None and all(
            np.array_equal(value, before[name]) for name, value in actual.items() if name in before
        )
        if not same or self.cell.phase == "train_step":
            return found
        words = f"{when}: two calls give the same, as if no masks were drawn"
        return msgspec.structs.replace(found, failures=(*found.failures, words))

    def _random(self) -> bool:
        """Does the timed phase draw masks?"""
        return bool(self.cell.spec.dropout) and self.cell.phase != "forward"

    def cheats(self, ask: Ask, step_seconds: float) -> str | None:
        """What to say of a step that takes less time than its work; None where it is honest."""
        # Slow steps are seldom tried; what looks like a cheat is tried as often as a fast one, and
        # again: an honest step passes once the machine leaves it alone, a cheat never does.
        few = min(MOST_TRIES, max(2, math.ceil(TRYING_SECONDS / step_seconds)))
        for tries in (few, *[MOST_TRIES] * AGAIN):
            found = (
                self._unsynced(ask, step_seconds)
                or self._late(ask, step_seconds, tries)
                or self._remembered(ask, step_seconds, tries)
            )
            if found is None:
                return None
        return found

    def _late(self, ask: Ask, step_seconds: float, tries: int) -> str | None:
        """Is the work done when the result is read?"""
        seconds, tensors, size_bytes = ask("reading", phase=self.cell.phase, tries=tries)
        allowed = (
            READING_SECONDS_A_TENSOR * tensors
            + READING_SECONDS_A_BYTE * size_bytes
            + READING_STEPS * step_seconds
        )
        if seconds <= allowed:
            return None
        return (
            f"the result is not computed when sync returns: reading its {tensors} tensors takes "
            f"{seconds * 1e3:.2f} ms, beside {step_seconds * 1e3:.4f} ms by the clock for the step"
        )

    def _remembered(self, ask: Ask, step_seconds: float, tries: int) -> str | None:
        """Does a call take longer when it must do its work: new parameters, and other batches?"""
        cell = self.cell
        many = math.ceil(TRYING_SECONDS / MOST_TRIES / step_seconds)
        batches = [
            pack_batch(TASKS[cell.task].batch(cell.size, LATER_SEEDS + number))
            for number in range(min(MOST_BATCHES, max(1, many)))
        ]
        sets = [pack(self._first.params), pack(self._fresh.params)]
        again = min(MOST_AGAIN, max(2, many))
        numbers = {"again": again, "tries": tries}
        working, repeated = ask(
            "first_calls", phase=cell.phase, sets=sets, batches=batches, **numbers
        )
        allowed = FIRST_LIMIT * repeated + FIRST_SECONDS
        if working <= allowed and working > ROUNDS_LIMIT * step_seconds + FIRST_SECONDS:
            # Longer than the rounds had it: is the machine slower now, or were they cut short? All
            # is as it was in them.
            self._renew(ask, self._first)
            repeated = ask("warm", phase=cell.phase, seconds=ROUNDS_SECONDS, steps=again)
            allowed = FIRST_LIMIT * repeated + FIRST_SECONDS
        if working <= allowed:
            return None
        return (
            f"a call on new parameters takes {working * 1e3:.3f} ms, one that comes again "
            f"{repeated * 1e3:.3f} ms: timed steps do not do all of the work"
        )

    def _unsynced(self, ask: Ask, step_seconds: float) -> str | None:
        """Does `sync` wait?"""
        steps = min(200, max(3, math.ceil(UNSYNCED_SECONDS / step_seconds)))
        ratios = []
        for _ in range(UNSYNCED_TRIES):
            synced, unsynced = ask("unsynced", phase=self.cell.phase, steps=steps)
            ratios.append(unsynced / synced)
            if ratios[-1] <= UNSYNCED_LIMIT:
                return None
        return (
            f"sync does not wait: {steps} steps read at the end take {min(ratios):.1f} times as "
            "long as they take by the clock with a sync each"
        )

    def _renew(self, ask: Ask, params: Drawn, batch: Drawn | None = None) -> None:
        """The parameters of one, and a batch: its own where no other is given."""
        ask("renew", params=pack(params.params), batch=pack_batch((batch or params).batch))

    def _answered(self, actual: Tensors, drawn: Drawn, when: str) -> record.Agreement:
        """Compare what one call of the timed phase gives."""
        actual = agreement.with_loss(self._spec, actual, drawn.batch)
        kinds = ("loss", "gradients") if self.cell.phase == "bptt" else ()
        return agreement.compare(drawn.expected, self.cell.phase, actual, when, kinds)

    def _train(
        self, ask: Ask, variant: str, drawn: Drawn, steps: int, when: str = ""
    ) -> record.Agreement:
        """Updates from `drawn`, compared with the oracle's under the declared optimizer."""
        self._renew(ask, drawn)
        losses, params = ask("train", steps=steps)
        expected = self._curve(variant, drawn, steps)
        actual = agreement.curve(losses, unpack(params))
        return agreement.compare(expected, self.cell.phase, actual, when)

    def _curve(self, variant: str, drawn: Drawn, steps: int) -> Reference:
        assert self.cell.optimizer is not None
        optimizer = registry.ask(variant, "optimizer", self.cell.optimizer)
        key = optimizer, drawn is self._first, steps
        if key not in self._curves:
            self._curves[key] = agreement.training_reference(
                self._spec, drawn.params, drawn.batch, optimizer, self.cell.dtype, steps
            )
        return self._curves[key]
