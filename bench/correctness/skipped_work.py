"""Does a timed step take less time than its work: by the clock, in the worker.

A result may be computed only when it is read, answered from memory, or computed in part while
nothing changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.correctness.asked_model import AskedModel
from bench.correctness.oracle import ReferenceCase
from bench.records.workload import Workload
from bench.workers.serialization import pack, pack_batch
from tasks import TASKS

# A step whose sync waits takes as long without it; one whose sync does not wait takes longer than
# it pretends. Correct variants stay near 1, and a disturbance passes when tried again.
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
# at first tried as often as there is time for, then for as long as a model of the rounds has.
MOST_TRIES, TRYING_SECONDS = 4, 0.25
AGAIN = 3
FIRST_LIMIT, ROUNDS_LIMIT = 1.5, 2.5
FIRST_SECONDS = 20e-6
MOST_BATCHES, MOST_AGAIN = 32, 200
ROUNDS_SECONDS = 1.0
LATER_SEEDS = 1000  # of batches that nothing else is asked about


@dataclass(frozen=True)
class SkippedWork:
    """Looks for it in one timed model, whose step took `step_seconds` in the rounds."""

    workload: Workload
    model: AskedModel
    first: ReferenceCase  # what was timed
    fresh: ReferenceCase
    step_seconds: float

    def find(self) -> str | None:
        """What to say of it; None where a step does all of its work."""
        # Slow steps are seldom tried; what looks like skipped work is tried as often as a fast
        # step, and again: a correct step passes once the machine leaves it alone, another never.
        few = min(MOST_TRIES, max(2, math.ceil(TRYING_SECONDS / self.step_seconds)))
        for tries in (few, *[MOST_TRIES] * AGAIN):
            found = self._unsynced() or self._late(tries) or self._remembered(tries)
            if found is None:
                return None
        return found

    def _unsynced(self) -> str | None:
        """Does `sync` wait?"""
        steps = min(200, max(3, math.ceil(UNSYNCED_SECONDS / self.step_seconds)))
        ratios = []
        for _ in range(UNSYNCED_TRIES):
            synced, unsynced = self.model.ask("unsynced", phase=self.workload.phase, steps=steps)
            ratios.append(unsynced / synced)
            if ratios[-1] <= UNSYNCED_LIMIT:
                return None
        return (
            f"sync does not wait: {steps} steps read at the end take {min(ratios):.1f} times as "
            "long as they take by the clock with a sync each"
        )

    def _late(self, tries: int) -> str | None:
        """Is the work done when the result is read?"""
        seconds, tensors, size_bytes = self.model.ask(
            "reading", phase=self.workload.phase, tries=tries
        )
        allowed = (
            READING_SECONDS_A_TENSOR * tensors
            + READING_SECONDS_A_BYTE * size_bytes
            + READING_STEPS * self.step_seconds
        )
        if seconds <= allowed:
            return None
        return (
            f"the result is not computed when sync returns: reading its {tensors} tensors takes "
            f"{seconds * 1e3:.2f} ms, beside {self.step_seconds * 1e3:.4f} ms by the clock for the "
            "step"
        )

    def _remembered(self, tries: int) -> str | None:
        """Does a call take longer when it must do its work: new parameters, and other batches?"""
        workload, ask = self.workload, self.model.ask
        many = math.ceil(TRYING_SECONDS / MOST_TRIES / self.step_seconds)
        batches = [
            pack_batch(TASKS[workload.task].batch(workload.numbers, LATER_SEEDS + number))
            for number in range(min(MOST_BATCHES, max(1, many)))
        ]
        sets = [pack(self.first.params), pack(self.fresh.params)]
        again = min(MOST_AGAIN, max(2, many))
        working, repeated = ask(
            "first_calls",
            phase=workload.phase,
            sets=sets,
            batches=batches,
            again=again,
            tries=tries,
        )
        allowed = FIRST_LIMIT * repeated + FIRST_SECONDS
        if working <= allowed and working > ROUNDS_LIMIT * self.step_seconds + FIRST_SECONDS:
            # Longer than the rounds had it: is the machine slower now, or were they cut short? All
            # is as it was in them.
            self.model.renew(self.first)
            repeated = ask("warm", phase=workload.phase, seconds=ROUNDS_SECONDS, steps=again)
            allowed = FIRST_LIMIT * repeated + FIRST_SECONDS
        if working <= allowed:
            return None
        return (
            f"a call on new parameters takes {working * 1e3:.3f} ms, one that comes again "
            f"{repeated * 1e3:.3f} ms: timed steps do not do all of the work"
        )
