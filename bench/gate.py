"""What one variant in one cell is asked before it is timed, by its last timed step, and after."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from backends import registry
from bench import agreement, record
from bench.agreement import Reference, Tensors
from bench.grid import Cell
from bench.wire import pack, pack_batch, unpack
from tasks import TASKS
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params, init_params
from tasks.task import Size

Ask = Callable[..., Any]  # (operation, **arguments) -> the worker's answer

TRAIN_STEPS = 5  # of a loss curve that must stay with the oracle's

# A step whose sync waits takes as long without it; one whose sync does not wait takes longer
# than it pretends. Honest variants stay near 1, and a disturbance passes when tried again.
UNSYNCED_LIMIT = 1.5
UNSYNCED_TRIES = 5
UNSYNCED_SECONDS = 0.05


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


class Gate:
    """The checks of one cell; `ask` in each is one worker's."""

    def __init__(self, cell: Cell, seed: int) -> None:
        self.cell = cell
        self._first = draw(cell.task, cell.size, cell.spec, cell.dtype, seed)
        self._fresh = draw(cell.task, cell.size, cell.spec, cell.dtype, seed + 1)
        self._curves: dict[tuple[OptimizerSpec, bool], Reference] = {}

    def build(self, ask: Ask) -> float:
        """Have the model built and the batch placed; gives the seconds that building took."""
        optimizer = self.cell.optimizer
        seconds: float = ask(
            "build",
            spec=dataclasses.asdict(self.cell.spec),
            params=pack(self._first.params),
            batch=pack_batch(self._first.batch),
            device=self.cell.device,
            dtype=self.cell.dtype,
            optimizer=dataclasses.asdict(optimizer) if optimizer else None,
        )
        return seconds

    def before(self, ask: Ask, variant: str) -> tuple[float, float | None, record.Agreement]:
        """Seconds of the first call, the loss, and everything the phase answers for, compared."""
        phase = self.cell.phase
        seconds, answer = ask("answer", phase=phase)
        actual = unpack(answer)
        if phase == "train_step":
            self._renew(ask, self._first)  # the first call has moved the parameters
            actual |= unpack(ask("answer", phase="bptt")[1])
        if phase != "forward":
            actual |= unpack(ask("answer", phase="forward")[1])
        actual = agreement.with_loss(self.cell.spec, actual, self._first.batch)
        found = [agreement.compare(self._first.expected, phase, actual)]
        if phase == "train_step":
            found.append(self._train(ask, variant, self._first, ""))
        loss = float(actual["loss"]) if "loss" in actual else None
        return seconds, loss, agreement.joined(found)

    def last(self, ask: Ask) -> record.Agreement | None:
        """What the last timed step gave; None for a train step, whose count is not fixed."""
        if self.cell.phase == "train_step":
            return None
        return self._answered(unpack(ask("last_answer")), self._first, "its last timed step")

    def after(self, ask: Ask, variant: str) -> record.Agreement:
        """Parameters and a batch that the model has not seen."""
        self._renew(ask, self._fresh)
        when = "after the rounds"
        if self.cell.phase == "train_step":
            return self._train(ask, variant, self._fresh, when)
        answer = unpack(ask("answer", phase=self.cell.phase)[1])
        return self._answered(answer, self._fresh, when)

    def sync_lies(self, ask: Ask, step_seconds: float) -> str | None:
        """What to say of a `sync` that does not wait; None where it does."""
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

    def _renew(self, ask: Ask, drawn: Drawn) -> None:
        ask("renew", params=pack(drawn.params), batch=pack_batch(drawn.batch))

    def _answered(self, actual: Tensors, drawn: Drawn, when: str) -> record.Agreement:
        """Compare what one call of the timed phase gives."""
        actual = agreement.with_loss(self.cell.spec, actual, drawn.batch)
        kinds = ("loss", "gradients") if self.cell.phase == "bptt" else ()
        return agreement.compare(drawn.expected, self.cell.phase, actual, when, kinds)

    def _train(self, ask: Ask, variant: str, drawn: Drawn, when: str) -> record.Agreement:
        """K updates from `drawn`, compared with the oracle's under the declared optimizer."""
        self._renew(ask, drawn)
        losses, params = ask("train", steps=TRAIN_STEPS)
        expected = self._curve(variant, drawn)
        actual = agreement.curve(losses, unpack(params))
        return agreement.compare(expected, self.cell.phase, actual, when)

    def _curve(self, variant: str, drawn: Drawn) -> Reference:
        assert self.cell.optimizer is not None
        optimizer = registry.load(variant).optimizer(self.cell.optimizer)
        key = optimizer, drawn is self._first
        if key not in self._curves:
            self._curves[key] = agreement.training_reference(
                self.cell.spec, drawn.params, drawn.batch, optimizer, self.cell.dtype, TRAIN_STEPS
            )
        return self._curves[key]
