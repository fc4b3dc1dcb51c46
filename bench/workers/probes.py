"""The times by which the checks find skipped work, taken inside the worker."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from bench.workers.serialization import Packed, unpack, unpack_batch
from bench.workers.timing import TimedSteps, without_collections

LOADING_SECONDS = 0.25
PEAK_SIZES = (512, 1024)  # of the products


class Probes(TimedSteps):
    """What `bench.correctness.skipped_work` asks. Every public method is an operation."""

    def __init__(self) -> None:
        super().__init__()
        self._loading_alone = math.inf  # smallest seconds of loading and one step

    def unsynced(self, *, phase: str, steps: int) -> tuple[float, float]:
        """Seconds per step with a sync each, and without a sync until the last result is read.

        The second is without the time for reading a finished result.
        """
        step, placed, to_host = getattr(self._built, phase), self._placed, self._built.to_host
        synced = self._timed(phase, 0.0, steps)
        to_host(self._result)  # waits for all work, even if `sync` does not
        begin = time.perf_counter()
        to_host(self._result)
        reading = time.perf_counter() - begin
        begin = time.perf_counter()
        for _ in range(steps):
            self._result = None
            self._result = step(placed)
        to_host(self._result)
        unsynced = time.perf_counter() - begin - reading
        return float(np.mean(synced)), unsynced / steps

    def late_sync(self, *, phase: str, tries: int) -> float:
        """Smallest seconds that a sync of the first of three results takes, after that of the last.

        Nothing is left to compute then, unless the model computes only what is synced.
        """
        step, sync, taken = getattr(self._built, phase), self._built.sync, []
        for _ in range(tries):
            # Three batches or streams where there are as many: a carry is used once.
            three = (self._batches[number % len(self._batches)] for number in range(3))
            first, _, last = map(step, three)
            sync(last)
            begin = time.perf_counter()
            sync(first)
            taken.append(time.perf_counter() - begin)
            self._result = last
        self._steps += 3 * tries
        return min(taken)

    def peak(self, *, dtype: str, seconds: float) -> float:
        """The most floating-point operations a second of a matrix product by numpy, here."""
        rng, best = np.random.default_rng(0), 0.0
        begin = time.perf_counter()
        while not best or time.perf_counter() - begin < seconds:
            for size in PEAK_SIZES:
                a = rng.standard_normal((size, size)).astype(dtype)
                out = np.empty_like(a)
                start = time.perf_counter()
                np.matmul(a, a, out=out)
                best = max(best, 2.0 * size**3 / (time.perf_counter() - start))
        return best

    def reading(self, *, phase: str, tries: int) -> tuple[float, int, int]:
        """Smallest seconds for reading a synced result; its number of tensors; their bytes."""
        taken, host = [], {}
        for _ in range(tries):
            result = self._step(phase)
            begin = time.perf_counter()
            host = self._built.to_host(result)
            taken.append(time.perf_counter() - begin)
        return min(taken), len(host), sum(value.nbytes for value in host.values())

    def reading_params(self, *, tries: int) -> tuple[float, int, int]:
        """The same for the parameters, each time after loading them: nothing is left to compute."""
        taken, host = [], dict(self._built.params())
        for _ in range(tries):
            self._load(host)
            begin = time.perf_counter()
            host = dict(self._built.params())
            taken.append(time.perf_counter() - begin)
        return min(taken), len(host), sum(value.nbytes for value in host.values())

    def first_calls(
        self, *, phase: str, sets: list[Packed], batches: list[Packed], again: int, tries: int
    ) -> tuple[float, float]:
        """Seconds of a synced first call, which must do its work, and of a repeated call.

        First calls: `batches` are placed, parameters are loaded, and each batch is stepped through
        once. The seconds of loading and a single step are subtracted from the total, and the rest
        is divided by the remaining steps. So work done while loading, or in another of these calls,
        counts as well. Repeated calls: the mean of at least as many on the present batch; a median
        would not contain what other programs take from a busy core. Both are the smallest of
        `tries`.
        """
        parameters = [unpack(sets[number % len(sets)]) for number in range(tries)]
        working, repeated = [], []
        with without_collections():
            # Measured before the batches are placed, and kept from call to call: a model could do
            # work while loading for every batch that it has ever got.
            for params in parameters:
                alone, _ = self._loading(phase, params, [self._placed])
                self._loading_alone = min(alone, self._loading_alone)
            placed = [self._built.place(unpack_batch(batch)) for batch in batches]
            for params in parameters:
                before, later = self._loading(phase, params, [*placed, self._placed])
                working.append((before + sum(later) - self._loading_alone) / len(later))
                repeated.append(self.repeated(phase=phase, seconds=0.0, steps=len(later) + again))
        return min(working), min(repeated)

    def repeated(self, *, phase: str, seconds: float, steps: int) -> float:
        """Mean seconds of a step on the present batch, of at least `steps` and for `seconds`.

        The first fifth of the steps warms up, and is left out.
        """
        taken = self._timed(phase, seconds, steps)
        return float(np.mean(taken[len(taken) // 5 :]))

    def _loading(
        self, phase: str, params: dict[str, np.ndarray], batches: list[Any]
    ) -> tuple[float, list[float]]:
        """Seconds of loading and a synced step, then of a step on each further placed batch.

        Stops early after LOADING_SECONDS, but not before two steps.
        """
        step, sync = self._stepper(phase, 0.0)
        self._result, clock = None, time.perf_counter
        begin = clock()
        self._built.load(params)
        sync(step(batches[0]))
        ends = [clock()]
        for placed in batches[1:]:
            sync(step(placed))
            ends.append(clock())
            if ends[-1] - ends[0] > LOADING_SECONDS:
                break
        return ends[0] - begin, np.diff(ends).tolist()
