"""Finds timed steps that skip work, by the clock in the worker.

A model could compute its result only when it is read, return a stored one, or compute only a part
of it while nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from bench.config import batches
from bench.correctness.asked_model import AskedModel
from bench.correctness.oracle import ReferenceCase
from bench.correctness.tolerances import STORAGE
from bench.records.workload import Workload
from bench.workers.serialization import pack, pack_batch

# Limit of (seconds per step without syncs) / (seconds per step with a sync each). It is about 1 if
# `sync` waits, and larger if it does not. A disturbance is gone on the next try.
UNSYNCED_LIMIT = 1.5
UNSYNCED_TRIES = 3
UNSYNCED_SECONDS, MOST_UNSYNCED = 0.05, 2000

# Limit of the time for reading a result: so much per tensor and per byte, plus half a step. Copying
# is faster; computing the result only when it is read is slower. Where copying from a device is not
# that fast, reading the parameters at the same moment is the measure: READING_LIMIT times as long,
# per tensor or per byte.
READING_SECONDS_A_TENSOR = 0.2e-3
READING_SECONDS_A_BYTE = 2e-9
READING_STEPS = 0.5
READING_LIMIT = 2.0

# Limit of the seconds for a sync of a result that an earlier sync has passed, in steps.
LATE_SYNC_SECONDS, LATE_SYNC_STEPS = 0.2e-3, 0.5

# Timed steps take as many batches, all of one shape, so that they take the same time. They are
# compared within a block, since disturbances are longer than one, and in at least as many blocks.
# Beside other work single steps take ten times as long, so the shortest on each must differ too.
BATCHES = 3
UNEVEN_LIMIT, UNEVEN_BLOCKS = 2.0, 5

# A step with more operations a second than PEAK_LIMIT times those of a large matrix product, in the
# same process, cannot have done them. A CPU computes nothing else as fast. Other work may take a
# core away from the product, which is then tried for longer. With instructions for bfloat16 (AMX) a
# CPU does 16 times as many in that as in float32.
PEAK_LIMIT, PEAK_SECONDS = 2.0, (0.05, 0.5, 2.0)
PEAK_OF_BFLOAT16 = 16.0

# The first call on new parameters must not take much longer than a repeated call. It does if the
# model returns stored results, or does only a part of the work while nothing changes. Repeated
# calls are first tried for TRYING_SECONDS, and if in doubt for as long as in the rounds.
MOST_TRIES, TRYING_SECONDS = 4, 0.25
AGAIN = 3
FIRST_LIMIT, ROUNDS_LIMIT = 1.5, 2.5
FIRST_SECONDS = 20e-6
MOST_BATCHES, MOST_AGAIN = 32, 200
ROUNDS_SECONDS = 1.0
LATER_SEEDS = 1000  # seeds of batches that no other check uses


TimedBlock = tuple[np.ndarray, np.ndarray]  # the seconds of its steps, and their batches


@dataclass(frozen=True)
class SkippedWork:
    """Searches one timed model for skipped work; its step took `step_seconds` in the rounds."""

    workload: Workload
    model: AskedModel
    first: ReferenceCase  # the timed case
    fresh: ReferenceCase
    step_seconds: float
    throughput_seconds: float | None = None  # of a step in the rounds without syncs, if measured
    blocks: Sequence[TimedBlock] = ()

    def find(self) -> str | None:
        """A message if a step skips work, else None."""
        if found := self._uneven():
            return found
        # Slow steps are tried less often, which is no less strict: the best try counts. If work
        # seems to be skipped, they are tried MOST_TRIES times, and again: a correct step passes
        # once the machine is quiet, a wrong one never.
        few = min(MOST_TRIES, math.ceil(TRYING_SECONDS / self.step_seconds))
        for tries in (few, *[MOST_TRIES] * AGAIN):
            found = (
                self._unsynced()
                or self._lazy(tries)
                or self._late(tries)
                or self._remembered(tries)
                or self._too_fast()
            )
            if found is None:
                return None
        return found

    def _too_fast(self) -> str | None:
        """A message if the machine cannot compute a step in the time that one took."""
        w = self.workload
        least = min(self.step_seconds, self.throughput_seconds or math.inf)
        if w.device != "cpu":
            return None
        rate, peak = batches.flops(w) / least, 0.0
        times = PEAK_OF_BFLOAT16 if w.dtype == "bfloat16" else 1.0
        for seconds in PEAK_SECONDS:
            found = self.model.ask("peak", dtype=STORAGE[w.dtype], seconds=seconds)
            peak = max(peak, times * found)
            if rate <= PEAK_LIMIT * peak:
                return None
        return (
            f"a step takes {least * 1e3:.4f} ms, which would be {rate / peak:.1f} times as many "
            "operations a second as in a large matrix product"
        )

    def _lazy(self, tries: int) -> str | None:
        """A message if a step is computed only when it is synced."""
        seconds = self.model.ask("late_sync", phase=self.workload.phase, tries=tries)
        # Both are the quickest of several: beside other work the median step takes twice as long.
        step = min((float(s.min()) for s, _ in self.blocks), default=self.step_seconds)
        if seconds <= LATE_SYNC_SECONDS + LATE_SYNC_STEPS * step:
            return None
        return (
            f"a step is computed only when it is synced: its sync takes {seconds * 1e3:.2f} ms "
            f"after a later step was synced, while a step took {self.step_seconds * 1e3:.4f} ms"
        )

    def _uneven(self) -> str | None:
        """A message if the steps on one batch took clearly less time than those on another."""
        least = {
            batch: min((s[n == batch].min() for s, n in self.blocks if batch in n), default=0.0)
            for batch in range(BATCHES)
        }
        single = all(len(numbers) == 1 for _, numbers in self.blocks)
        for one, other in permutations(range(BATCHES), 2):
            if least[one] <= UNEVEN_LIMIT * least[other]:
                continue
            if single:  # all of one must take longer than each of the other, which no moment does
                most = max((s[0] for s, n in self.blocks if n[0] == other), default=0.0)
                if least[one] > UNEVEN_LIMIT * most > 0:
                    return _uneven_words(float(least[one] / most))
                continue
            ratios = [
                float(np.median(seconds[numbers == one]) / np.median(seconds[numbers == other]))
                for seconds, numbers in self.blocks
                if one in numbers and other in numbers
            ]
            if len(ratios) >= UNEVEN_BLOCKS and np.median(ratios) > UNEVEN_LIMIT:
                return _uneven_words(float(np.median(ratios)))
        return None

    def _unsynced(self) -> str | None:
        """A message if `sync` does not wait."""
        steps = min(MOST_UNSYNCED, max(2, math.ceil(UNSYNCED_SECONDS / self.step_seconds)))
        ratios = []
        for _ in range(UNSYNCED_TRIES):
            synced, unsynced = self.model.ask("unsynced", phase=self.workload.phase, steps=steps)
            ratios.append(unsynced / synced)
            if ratios[-1] <= UNSYNCED_LIMIT:
                return None
        return (
            f"sync does not wait: {steps} steps whose last result is read take {min(ratios):.1f} "
            "times as long as with a sync each"
        )

    def _late(self, tries: int) -> str | None:
        """A message if work is done only when the result is read."""
        seconds, tensors, size_bytes = self.model.ask(
            "reading", phase=self.workload.phase, tries=tries
        )
        part_of_step = READING_STEPS * self.step_seconds
        copying = READING_SECONDS_A_TENSOR * tensors + READING_SECONDS_A_BYTE * size_bytes
        if seconds <= copying + part_of_step:
            return None
        of_params, params, params_bytes = self.model.ask("reading_params", tries=tries)
        as_many = max(tensors / params, size_bytes / params_bytes)
        if seconds <= READING_LIMIT * of_params * as_many + part_of_step:
            return None
        return (
            f"the result is not computed when sync returns: reading its {tensors} tensors takes "
            f"{seconds * 1e3:.2f} ms, while the step took {self.step_seconds * 1e3:.4f} ms"
        )

    def _remembered(self, tries: int) -> str | None:
        """A message if a call takes longer with new parameters and batches than repeated."""
        workload, ask = self.workload, self.model.ask
        many = math.ceil(TRYING_SECONDS / MOST_TRIES / self.step_seconds)
        others = [
            pack_batch(batches.of_workload(workload, LATER_SEEDS + number))
            for number in range(min(MOST_BATCHES, max(1, many)))
        ]
        sets = [pack(self.first.params), pack(self.fresh.params)]
        again = min(MOST_AGAIN, max(2, many))
        working, repeated = ask(
            "first_calls",
            phase=workload.phase,
            sets=sets,
            batches=others,
            again=again,
            tries=tries,
        )
        allowed = FIRST_LIMIT * repeated + FIRST_SECONDS
        if working <= allowed and working > ROUNDS_LIMIT * self.step_seconds + FIRST_SECONDS:
            # The call passes, but it took much longer than a step in the rounds. Either the machine
            # is slower now, or the rounds skipped work: repeat the situation of the rounds.
            self.model.renew(self.first)
            repeated = ask("repeated", phase=workload.phase, seconds=ROUNDS_SECONDS, steps=again)
            allowed = FIRST_LIMIT * repeated + FIRST_SECONDS
        if working <= allowed:
            return None
        return (
            f"a call on new parameters takes {working * 1e3:.3f} ms, a repeated one "
            f"{repeated * 1e3:.3f} ms: timed steps do not do all of the work"
        )


def _uneven_words(ratio: float) -> str:
    return (
        f"a step on one batch takes {ratio:.1f} times as long as on another: some do not do all of "
        "the work"
    )
