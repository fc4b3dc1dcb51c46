"""Times the steps of one built model, inside its worker.

These are the times of the rounds. Timed steps take the placed batches in an order that no program
can foresee, and never one twice in a row. Where their T differ, each comes once before any again.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice, repeat
from typing import Any

import numpy as np

from backends.interface import Model
from bench.workers.memory import MemoryCount
from bench.workers.seen_answers import SeenAnswer, SeenAnswers
from bench.workers.streams import Stream
from bench.workers.usage import Usage

AHEAD = 256  # batches that are drawn at a time


class TimedSteps:
    """A model, its placed batches, and its times. Every public method is an operation."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._host_inputs: list[list[np.ndarray]] = []  # of each stream, its inputs on the host
        self._batches: list[Any] = []  # placed; the first one is that of untimed calls
        self._batch = 0  # the number of that of the last step
        self._steps_of: list[int] = []  # T of each batch
        self._looks = SeenAnswers()
        self._held_out: Any = None  # placed sequences that are only scored
        self._params: dict[str, np.ndarray] = {}
        self._result: Any = None
        self._stopwatch: Any = None  # of the device, if the backend has one
        self._usage = Usage()
        self._memory = MemoryCount()
        self._trains = False
        self._steps = 0  # since parameters were loaded

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
        looks: int = 0,
        read: bool = False,
    ) -> tuple[bytes, bytes, float | None, float | None, float, float, list[SeenAnswer]]:
        """Run one block: warm-up steps, then timed steps with a sync each.

        If `unbroken`, as many steps follow with a single sync at their end. `slowdown` adds a busy
        wait of that share to every step, to test the harness. Before the warm-up come up to `looks`
        steps whose results are read. If `read`, that of the last timed step is read as well, of a
        train step only where it is the first from the loaded parameters.

        Returns the seconds of each synced step, as float64 bytes; the number of its batch, as int16
        bytes; the seconds per unbroken step, by the wall clock and by the device's stopwatch (or
        None); the CPU seconds of the whole call; the wall seconds of all timed steps; what was
        looked at.
        """
        whole = time.process_time()
        looked: list[SeenAnswer] = []
        if looks:
            with self._memory.paused():
                looked = self.look(phase=phase, looks=looks, seconds=timed_seconds)
        if phase == "train_step":
            self._load(self._params)
        with without_collections():
            self._timed(phase, warmup_seconds, warmup_steps, slowdown)
            of_batch: list[int] = []
            wall = time.perf_counter()
            with self._usage.counted() as steps:
                taken = self._timed(phase, timed_seconds, timed_steps, slowdown, of_batch)
                back_to_back, on_device = (
                    self._back_to_back(phase, len(taken), slowdown) if unbroken else (None, None)
                )
                steps += taken * (1 if back_to_back is None else 2)
            wall = time.perf_counter() - wall
        if read and (phase != "train_step" or self._steps == 1):
            with self._memory.paused():
                looked.append(self._looks.take(self._batch, self._on_host(phase)))
        whole = time.process_time() - whole
        taken_bytes = np.asarray(taken, np.float64).tobytes()
        of_batch_bytes = np.asarray(of_batch, np.int16).tobytes()
        return taken_bytes, of_batch_bytes, back_to_back, on_device, whole, wall, looked

    def look(self, *, phase: str, looks: int, seconds: float = math.inf) -> list[SeenAnswer]:
        """The results of `looks` steps, fewer if they take `seconds`, but at least one.

        A train step starts from the loaded parameters; its result are the loss, the parameters
        after it, and the carried states if there are any.
        """
        found: list[SeenAnswer] = []
        begin = time.perf_counter()
        for number in islice(self._order(), looks):
            if phase == "train_step":
                self._load(self._params)
            self._result = self._step(phase, number)
            found.append(self._looks.take(number, self._on_host(phase)))
            if time.perf_counter() - begin > seconds:
                break
        return found

    def with_transfers(self, *, steps: int) -> tuple[bytes, float, float]:
        """Steps of streams, each with the transfers of its input and of its output.

        Returns the seconds of each, as float64 bytes, and the CPU and wall seconds of all.
        """
        model: Any = self._built
        taken, order, clock = [], self._order(), time.perf_counter
        cpu, wall = time.process_time(), clock()
        with without_collections():
            for number in islice(order, steps):
                stream = self._batches[number]
                stream.ready()
                x = self._host_inputs[number][stream.path[-1]]
                begin = clock()
                model.with_transfers(stream, x)
                taken.append(clock() - begin)
        self._batch = number
        self._result = self._batches[number].result
        cpu, wall = time.process_time() - cpu, clock() - wall
        return np.asarray(taken, np.float64).tobytes(), cpu, wall

    def pytest_benchmark(self, *, phase: str, seconds: float, slowdown: float = 0.0) -> float:
        """Median seconds of a synced step in pytest-benchmark's own loop."""
        from bench.workers.pytest_benchmark_baseline import median_seconds

        step, sync = self._stepper(phase, slowdown)
        placed = self._placed
        return median_seconds(lambda: sync(step(placed)), seconds)

    def first_steps(self, *, phase: str) -> list[float]:
        """Seconds of one synced step on each batch but the first: for these T the first ones."""
        taken = []
        for number in range(1, len(self._batches)):
            begin = time.perf_counter()
            self._result = self._step(phase, number)
            taken.append(time.perf_counter() - begin)
        return taken

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

    @property
    def _placed(self) -> Any:
        return self._batches[0]

    def _order(self) -> Iterator[int]:
        """Numbers of batches, drawn from the system's entropy; none comes twice in a row."""
        at, count = self._batch, len(self._batches)
        if count == 1:
            yield from repeat(0)
        rng = np.random.default_rng()
        while len({*self._steps_of}) > 1:
            drawn = rng.permutation(count).tolist()
            yield from drawn[::-1] if drawn[0] == at else drawn
            at = drawn[0] if drawn[0] == at else drawn[-1]
        while True:
            for ahead in rng.integers(1, count, AHEAD).tolist():
                at = (at + ahead) % count
                yield at

    def _step(self, phase: str, batch: int = 0) -> Any:
        model, placed = self._built, self._batches[batch]
        self._steps += 1
        self._batch = batch
        if isinstance(placed, Stream):
            placed.ready()
        result = getattr(model, phase)(placed)
        model.sync(result)
        return result

    def _on_host(self, phase: str = "") -> dict[str, np.ndarray]:
        """The result of the last step; of a stream with what led to it, of an update with the
        parameters after it.
        """
        host, placed = self._built.to_host(self._result), self._batches[self._batch]
        if phase == "train_step":
            return {**host, **self._built.params()}
        return {**host, **placed.about()} if isinstance(placed, Stream) else host

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

    def _timed(
        self,
        phase: str,
        seconds: float,
        steps: int,
        slowdown: float = 0.0,
        of_batch: list[int] | None = None,
    ) -> list[float]:
        """Step like a training loop, for at least `seconds` and `steps`; the seconds of each step.

        The number of each step's batch goes to `of_batch`. Each time includes the release of the
        previous result, as in any loop.
        """
        batches, order, clock = self._batches, self._order(), time.perf_counter
        step, sync = self._stepper(phase, slowdown)
        taken: list[float] = []
        numbers = [] if of_batch is None else of_batch
        streams = isinstance(self._placed, Stream)
        result, self._result = self._result, None
        begin = clock()
        while len(taken) < steps or clock() - begin < seconds:
            number = next(order)
            numbers.append(number)
            placed = batches[number]
            if streams:
                placed.ready()
            start = clock()
            result = None
            result = step(placed)
            sync(result)
            taken.append(clock() - start)
        if numbers:
            self._batch = numbers[-1]
        self._result = result
        self._steps += len(taken)
        return taken

    def _back_to_back(self, phase: str, steps: int, slowdown: float) -> tuple[float, float | None]:
        """Seconds per step of `steps` with one sync at the end: wall clock, device or None."""
        stopwatch, order = self._stopwatch, list(islice(self._order(), steps))
        coming = [self._batches[number] for number in order]
        step, sync = self._stepper(phase, slowdown)
        result, self._result = self._result, None
        if stopwatch is not None:
            stopwatch.start()
        begin = time.perf_counter()
        for placed in coming:
            result = None
            result = step(placed)
        sync(result)
        seconds = (time.perf_counter() - begin) / steps
        self._result, self._batch = result, order[-1]
        self._steps += steps
        return seconds, stopwatch.stop() / steps if stopwatch is not None else None


@contextmanager
def without_collections() -> Iterator[None]:
    """Collect garbage now, and none inside the block."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
