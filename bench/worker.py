"""Runs inside a backend's own interpreter: build, answer, time. Needs numpy and the framework.

The parent (`bench.lab`) sends (operation, arguments) and gets ("ok", value) or ("error", first
line, traceback). The worker judges nothing: what it computes goes to the parent as bytes and is
compared there.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np

from backends import registry
from backends.interface import Backend, Model
from bench.memory import MemoryCount
from bench.wire import Packed, pack, unpack, unpack_batch
from tasks.spec import ModelSpec, OptimizerSpec

PR_SET_PDEATHSIG = 1
LOADING_SECONDS = 0.25


class Worker:
    """One backend, one model at a time. Every public method is an operation."""

    def __init__(self) -> None:
        self._backend: Backend
        self._model: Model | None = None
        self._placed: Any = None
        self._params: dict[str, np.ndarray] = {}
        self._result: Any = None
        self._device = "cpu"
        self._stopwatch: Any = None  # the device's own, where the backend has one
        self._wall_seconds = self._cpu_seconds = 0.0
        self._memory = MemoryCount()
        self._trains = False
        self._steps = 0  # since parameters were loaded
        self._loading_alone = math.inf  # least seconds of loading and one step

    def start(
        self, *, parent: int, backend: str, cores: list[int] | None, log: str
    ) -> dict[str, Any]:
        """Cut loose from the terminal, tie life to the parent's, pin, import the framework."""
        _detach(parent, log)
        if cores is not None:
            os.sched_setaffinity(0, cores)
        return self.open(backend=backend)

    def open(self, *, backend: str) -> dict[str, Any]:
        """Import the framework, in a process that may be anyone's."""
        self._backend = registry.load(backend)
        begin = time.perf_counter()
        # Plain strings: a framework's own kind of string does not pass between interpreters.
        versions = {str(name): str(number) for name, number in self._backend.versions().items()}
        seconds = time.perf_counter() - begin
        devices = [str(device) for device in self._backend.devices()]
        self._memory.imported()
        return {
            "versions": versions,
            "devices": devices,
            "import_seconds": seconds,
            "tied": sys.platform == "linux",
        }

    def build(
        self,
        *,
        spec: dict[str, Any],
        params: Packed,
        batch: Packed,
        device: str,
        dtype: str,
        optimizer: dict[str, Any] | None,
        again: bool = False,
    ) -> float:
        """Build the model and place the batch; gives the seconds that building took.

        `again`: within one cell, whose memory is counted from its first build on.
        """
        given, self._device = unpack(params), device
        # What training comes back to; nothing of the harness's lies beside a model without it.
        self._trains = optimizer is not None
        self._params = given if self._trains else {}
        self._steps, self._loading_alone = 0, math.inf
        if not again:
            self._memory.begin()
        begin = time.perf_counter()
        self._model = self._backend.build(
            ModelSpec(**spec),
            given,
            device=device,
            dtype=dtype,
            optimizer=OptimizerSpec(**optimizer) if optimizer else None,
        )
        seconds = time.perf_counter() - begin
        self._placed = self._model.place(unpack_batch(batch))
        make = getattr(self._backend, "stopwatch", lambda _: None)
        self._stopwatch = make(device)
        self._settle()
        return seconds

    def build_floor(self, *, spec: dict[str, Any], batch: int, steps: int, dtype: str) -> None:
        """The cell's bare products in place of a model, for B = `batch` and T = `steps`."""
        from bench.floor import FloorModel

        self._memory.begin()
        floor: Any = FloorModel(ModelSpec(**spec), batch, steps, dtype)
        self._model = floor  # as much as is timed of one
        self._placed = self._stopwatch = None
        self._settle()

    def _settle(self) -> None:
        self._wall_seconds = self._cpu_seconds = 0.0
        gc.collect()
        gc.freeze()  # what building left behind is never walked again

    def answer(self, *, phase: str) -> tuple[float, Packed]:
        """One call: its seconds, and the result on the host."""
        begin = time.perf_counter()
        self._result = self._step(phase)
        seconds = time.perf_counter() - begin
        return seconds, pack(self._built.to_host(self._result))

    def last_answer(self) -> Packed:
        """The result of the last timed step."""
        return pack(self._built.to_host(self._result))

    def train(self, *, steps: int) -> tuple[list[float], Packed]:
        """Loss of each of `steps` updates, and the parameters after them."""
        losses = []
        for _ in range(steps):
            self._result = self._step("train_step")
            losses.append(float(self._built.to_host(self._result)["loss"]))
        return losses, pack(self._built.params())

    def renew(self, *, params: Packed, batch: Packed) -> None:
        """Parameters and a batch that the model has not seen, into the same built model."""
        self._load(unpack(params))
        self._placed = self._built.place(unpack_batch(batch))

    def warm(self, *, phase: str, seconds: float, steps: int) -> float:
        """Run until both are used up; gives the median seconds of the later half.

        Peak memory is counted from the first warm step of a cell on.
        """
        self._memory.settle()
        taken = self._timed(phase, seconds, steps)
        return float(np.median(taken[len(taken) // 2 :]))

    def block(
        self,
        *,
        phase: str,
        hot_steps: int,
        hot_seconds: float,
        timed_steps: int,
        timed_seconds: float,
        unbroken: bool = True,
        slowdown: float = 0.0,
    ) -> tuple[bytes, float | None, float | None, float, float]:
        """Hot steps, untimed; then steps with a sync each; `unbroken`, as many with one at the end.

        Gives the seconds of each synced step, as float64 bytes; seconds a step of those back to
        back, by the clock and by the device's own, None without any; CPU seconds of this whole
        call; wall seconds of all timed steps.
        `slowdown` has every step wait busily for that share of itself, to test the harness.
        """
        whole = time.process_time()
        if phase == "train_step":
            self._load(self._params)
        with _without_collections():
            self._timed(phase, hot_seconds, hot_steps, slowdown)
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

    def stock(self, *, phase: str, seconds: float, slowdown: float = 0.0) -> float:
        """Median seconds of a synced step by pytest-benchmark's own loop."""
        from bench.stock import stock_median

        step, sync = self._stepper(phase, slowdown)
        placed = self._placed
        return stock_median(lambda: sync(step(placed)), seconds)

    def unsynced(self, *, phase: str, steps: int) -> tuple[float, float]:
        """Seconds a step, each with its sync, and of as many without one, read at the end.

        The time of reading a finished result is taken off the second.
        """
        step, placed, to_host = getattr(self._built, phase), self._placed, self._built.to_host
        synced = self._timed(phase, 0.0, steps)
        to_host(self._result)  # whatever still runs has ended by now, also where sync is a lie
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
        """Least seconds in which a synced result is read; its tensors, and their bytes."""
        taken, host = [], {}
        for _ in range(tries):
            result = self._step(phase)
            begin = time.perf_counter()
            host = self._built.to_host(result)
            taken.append(time.perf_counter() - begin)
        return min(taken), len(host), sum(value.nbytes for value in host.values())

    def read_late(self, *, phase: str, params: Packed) -> Packed:
        """The result of a call, read when other parameters have been loaded."""
        result = self._step(phase)
        self._built.load(unpack(params))
        return pack(self._built.to_host(result))

    def loaded(self, *, phase: str, params: Packed, others: list[Packed]) -> Packed:
        """The result for the present batch.

        Before it `others` are placed, parameters loaded, and the others stepped through.
        """
        placed = [self._built.place(unpack_batch(other)) for other in others]
        self._built.load(unpack(params))
        for other in placed:
            self._built.sync(getattr(self._built, phase)(other))
        self._result = self._step(phase)
        return pack(self._built.to_host(self._result))

    def first_calls(
        self, *, phase: str, sets: list[Packed], batches: list[Packed], again: int, tries: int
    ) -> tuple[float, float]:
        """Seconds of a synced call that must do its work, and of one that comes again.

        Parameters are loaded, and each of `batches`, placed before, is stepped through once. From
        the seconds of all this those of loading and one step are taken off: what a model computes
        while parameters are loaded, or at its first call after that, is in the first number
        as well. The second is the median of the later half of `again` calls on the present batch.
        Each is the least of `tries`.
        """
        parameters = [unpack(sets[number % len(sets)]) for number in range(tries)]
        many, repeated = [], []
        with _without_collections():
            # First, and kept from call to call: a model may work for all that it was ever given.
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
        """Seconds of loading and of a synced step on each placed batch, and how many there were.

        After LOADING_SECONDS of steps no more than two.
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

    def about(self) -> dict[str, Any]:
        """What ran, on how many threads, and what it took; after the last round."""
        busy = self._cpu_seconds / self._wall_seconds if self._wall_seconds else None
        peak_bytes = getattr(self._backend, "peak_bytes", lambda device: None)
        # First the memory: asking for the path may run one more step, under a profiler, and what
        # that leaves behind is no cell's.
        counted = self._memory.read() | {"peak_device_bytes": peak_bytes(self._device)}
        with self._memory.apart():
            path = str(self._built.path())
        return counted | {"path": path, "threads": self._threads(), "busy": busy}

    def release(self) -> None:
        """Free the model."""
        self._model = self._placed = self._result = self._stopwatch = None
        self._params = {}
        gc.unfreeze()
        gc.collect()

    @property
    def _built(self) -> Model:
        if self._model is None:
            raise RuntimeError("no model is built; expected `build` before this operation")
        return self._model

    def _load(self, params: dict[str, np.ndarray]) -> None:
        """New parameters, to which training blocks come back."""
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
        """The timed call and its sync; slowed down, the call waits for its result itself."""
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
        """Step until `seconds` have passed and `steps` were made: what a training loop does.

        The release of the step before belongs to the step, as it does in any loop.
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
        """Seconds a step of `steps` with one sync at their end, by the clock and by the device."""
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

    def _threads(self) -> str:
        """ "2 by the framework, openblas 2, pinned to 2 cores": as read back, not as asked for."""
        parts = []
        own: Callable[[], int | None] = getattr(self._backend, "threads", lambda: None)
        count = own()
        if count is not None:
            parts.append(f"{count} by the framework")
        if find_spec("threadpoolctl") is not None:
            from threadpoolctl import threadpool_info

            pools = {(pool["internal_api"], pool["num_threads"]) for pool in threadpool_info()}
            parts += [f"{api} {count}" for api, count in sorted(pools)]
        if hasattr(os, "sched_getaffinity"):
            count = len(os.sched_getaffinity(0))
            parts.append(f"pinned to {count} core{'s' if count > 1 else ''}")
        return ", ".join(parts)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Garbage is collected now, and not in what is timed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _detach(parent: int, log: str) -> None:
    """A session of its own, an end with the parent's, and a file for what frameworks print."""
    if os.getpgid(0) != os.getpid():
        os.setsid()  # a Ctrl-C at the terminal must not reach a stopped worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        # SIGKILL ends a stopped process too.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the parent died before the line above
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(target, 2)
    os.dup2(target, 1)
    os.close(target)


def serve(channel: Any) -> None:
    """Answer operations until the channel closes."""
    worker = Worker()
    for operation, arguments in channel:
        try:
            channel.send(("ok", getattr(worker, operation)(**arguments)))
        except BaseException as error:
            # Anything a framework raises goes to the parent in words; the channel stays usable.
            channel.send(("error", registry.first_line(error), traceback.format_exc()))
