"""Runs inside a backend's own interpreter: build, answer, time. Needs numpy and the framework.

The parent (`bench.lab`) sends (operation, arguments) and gets ("ok", value) or ("error", first
line, traceback). The worker judges nothing: what it computes goes to the parent as bytes and is
compared there.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from backends import registry
from backends.interface import Backend, Model
from bench.memory import MemoryCount
from bench.wire import Packed, pack, unpack, unpack_batch
from tasks.spec import ModelSpec, OptimizerSpec

PR_SET_PDEATHSIG = 1


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
        self._memory = MemoryCount(self._counted_on_device)

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
    ) -> float:
        """Build the model and place the batch; gives the seconds that building took."""
        self._params, self._device = unpack(params), device
        self._memory.begin()
        begin = time.perf_counter()
        self._model = self._backend.build(
            ModelSpec(**spec),
            self._params,
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
        self._params = unpack(params)
        self._built.load(self._params)
        self._placed = self._built.place(unpack_batch(batch))

    def warm(self, *, phase: str, seconds: float, steps: int) -> float:
        """Run until both are used up; gives the median seconds of the later half."""
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
            self._built.load(self._params)
        gc.collect()
        gc.disable()
        try:
            self._timed(phase, hot_seconds, hot_steps, slowdown)
            cpu, wall = time.process_time(), time.perf_counter()
            taken = self._timed(phase, timed_seconds, timed_steps, slowdown)
            back_to_back, on_device = (
                self._back_to_back(phase, len(taken), slowdown) if unbroken else (None, None)
            )
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        finally:
            gc.enable()
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

    def first_calls(self, *, phase: str, sets: list[Packed], tries: int) -> tuple[float, float]:
        """Least seconds of a synced call on parameters just loaded, and of those after it."""
        loaded = [unpack(packed) for packed in sets]
        first, again = [], []
        for number in range(tries):
            self._built.load(loaded[number % len(loaded)])
            first += self._timed(phase, 0.0, 1)
            again += self._timed(phase, 0.0, 2)
        return min(first), min(again)

    def about(self) -> dict[str, Any]:
        """What ran, on how many threads, and what it took; after the last round."""
        busy = self._cpu_seconds / self._wall_seconds if self._wall_seconds else None
        # First the memory: asking for the path may run one more step, under a profiler.
        return self._memory.read() | {
            "path": str(self._built.path()),
            "threads": self._threads(),
            "busy": busy,
        }

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

    def _step(self, phase: str) -> Any:
        model = self._built
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
        return seconds, stopwatch.stop() / steps if stopwatch is not None else None

    def _counted_on_device(self) -> int | None:
        counter: Callable[[str], int | None] = getattr(
            self._backend, "peak_bytes", lambda device: None
        )
        return counter(self._device)

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
