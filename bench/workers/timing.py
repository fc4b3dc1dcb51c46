"""Times the steps of one built model, inside its worker.

These are the times of the rounds, and those of the checks for skipped work.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from backends.interface import Model
from bench.workers.memory import MemoryCount
from bench.workers.serialization import Packed, unpack, unpack_batch

LOADING_SECONDS = 0.25


class TimedSteps:
    """A model, its placed batch, and its times. Every public method is an operation."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._placed: Any = None
        self._params: dict[str, np.ndarray] = {}
        self._result: Any = None
        self._stopwatch: Any = None  # of the device, if the backend has one
        self._wall_seconds = self._cpu_seconds = 0.0
        self._memory = MemoryCount()
        self._trains = False
        self._steps = 0  # since parameters were loaded
        self._loading_alone = math.inf  # smallest seconds of loading and one step

    def warm(self, *, phase: str, seconds: float, steps: int) -> float:
        """Run at least `seconds` and `steps`; return the median seconds of the second half.

        Peak memory counts from the first warm-up step of a workload on.
        """
        self._memory.settle()
        taken = self._timed(phase, seconds, steps)
        return float(np.median(taken[len(taken) // 2 :]))

    def block(
        self,
        *,
        phase: str,
        warmup_steps: int,
        warmup_seconds: float,
        timed_steps: int,
        timed_seconds: float,
        unbroken: bool = True,
        slowdown: float = 0.0,
    ) -> tuple[bytes, float | None, float | None, float, float]:
        """Run one block: warm-up steps, then timed steps with a sync each.

        If `unbroken`, as many steps follow with a single sync at their end. `slowdown` adds a busy
        wait of that share to every step, to test the harness.

        Returns the seconds of each synced step, as float64 bytes; the seconds per unbroken step, by
        the wall clock and by the device's stopwatch (or None); the CPU seconds of the whole call;
        the wall seconds of all timed steps.
        """
        whole = time.process_time()
        if phase == "train_step":
            self._load(self._params)
        with _without_collections():
            self._timed(phase, warmup_seconds, warmup_steps, slowdown)
            cpu, wall = time.process_time(), time.perf_counter()
            taken = self._timed(phase, timed_seconds, timed_steps, slowdown)
            back_to_back, on_device = (
                self._back_to_back(phase, len(taken), slowdown) if unbroken else (None, None)
            )
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        self._cpu_seconds += cpu
        self._wall_seconds += wall
        whole = time.process_time() - whole
        return np.asarray(taken, np.float64).tobytes(), back_to_back, on_device, whole, wall

    def pytest_benchmark(self, *, phase: str, seconds: float, slowdown: float = 0.0) -> float:
        """Median seconds of a synced step in pytest-benchmark's own loop."""
        from bench.workers.pytest_benchmark_baseline import median_seconds

        step, sync = self._stepper(phase, slowdown)
        placed = self._placed
        return median_seconds(lambda: sync(step(placed)), seconds)

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
        is divided by the remaining steps. So work done while loading, or in the first call after
        it, counts as well. Repeated calls: the median of the second half of `again` calls on the
        present batch. Both are the smallest of `tries`.
        """
        parameters = [unpack(sets[number % len(sets)]) for number in range(tries)]
        many, repeated = [], []
        with _without_collections():
            # Measured before the batches are placed, and kept from call to call: a model could do
            # work while loading for every batch that it has ever got.
            for params in parameters:
                alone, _ = self._loading(phase, params, [self._placed])
                self._loading_alone = min(alone, self._loading_alone)
            placed = [self._built.place(unpack_batch(batch)) for batch in batches]
            for params in parameters:
                seconds, steps = self._loading(phase, params, [*placed, self._placed])
                many.append((seconds, steps))
                taken = self._timed(phase, 0.0, again)
                repeated.append(float(np.median(taken[len(taken) // 2 :])))
        working = [(seconds - self._loading_alone) / (steps - 1) for seconds, steps in many]
        return min(working), min(repeated)

    def _loading(
        self, phase: str, params: dict[str, np.ndarray], batches: list[Any]
    ) -> tuple[float, int]:
        """Total seconds of loading and of a synced step on each placed batch; number of steps.

        Stops early after LOADING_SECONDS, but not before two steps.
        """
        step, sync = self._stepper(phase, 0.0)
        self._result, clock, steps = None, time.perf_counter, 0
        begin = clock()
        self._built.load(params)
        loaded = clock()
        for placed in batches:
            sync(step(placed))
            steps += 1
            if steps > 1 and clock() - loaded > LOADING_SECONDS:
                break
        return clock() - begin, steps

    def updates(self) -> int:
        """Steps since the parameters were loaded last."""
        return self._steps

    @property
    def _built(self) -> Model:
        if self._model is None:
            raise RuntimeError("no model is built; expected `build` before this operation")
        return self._model

    def _load(self, params: dict[str, np.ndarray]) -> None:
        """Load parameters, from which every training block starts."""
        self._built.load(params)
        self._params = params if self._trains else {}
        self._steps = 0

    def _step(self, phase: str) -> Any:
        model = self._built
        self._steps += 1
        result = getattr(model, phase)(self._placed)
        model.sync(result)
        return result

    def _stepper(self, phase: str, slowdown: float) -> tuple[Callable[[Any], Any], Any]:
        """The timed call and its sync; with a slowdown, the call itself waits for its result."""
        step, sync = getattr(self._built, phase), self._built.sync
        if not slowdown:
            return step, sync
        clock = time.perf_counter

        def slowed(placed: Any) -> Any:
            begin = clock()
            result = step(placed)
            sync(result)
            now = clock()
            end = now + slowdown * (now - begin)
            while clock() < end:
                pass
            return result

        return slowed, sync

    def _timed(self, phase: str, seconds: float, steps: int, slowdown: float = 0.0) -> list[float]:
        """Step like a training loop, for at least `seconds` and `steps`; the seconds of each step.

        Each time includes the release of the previous result, as in any loop.
        """
        placed, clock = self._placed, time.perf_counter
        step, sync = self._stepper(phase, slowdown)
        taken: list[float] = []
        result, self._result = self._result, None
        begin = clock()
        while len(taken) < steps or clock() - begin < seconds:
            start = clock()
            result = None
            result = step(placed)
            sync(result)
            taken.append(clock() - start)
        self._result = result
        self._steps += len(taken)
        return taken

    def _back_to_back(self, phase: str, steps: int, slowdown: float) -> tuple[float, float | None]:
        """Seconds per step of `steps` with one sync at the end: wall clock, device or None."""
        placed, stopwatch = self._placed, self._stopwatch
        step, sync = self._stepper(phase, slowdown)
        result, self._result = self._result, None
        if stopwatch is not None:
            stopwatch.start()
        begin = time.perf_counter()
        for _ in range(steps):
            result = None
            result = step(placed)
        sync(result)
        seconds = (time.perf_counter() - begin) / steps
        self._result = result
        self._steps += steps
        return seconds, stopwatch.stop() / steps if stopwatch is not None else None


@contextmanager
def _without_collections() -> Iterator[None]:
    """Collect garbage now, and none inside the block."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
