"""The operations of a worker: build, compute, time. Needs numpy and the framework.

The worker does not compare anything: its results go to the parent (`bench.workers.process`) as
bytes, and the parent compares them.
"""

from __future__ import annotations

import gc
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from backends import registry
from backends.interface import Backend
from bench.workers.chunks import CarriedModel
from bench.workers.learning import Learns
from bench.workers.probes import Probes
from bench.workers.seen_answers import SeenAnswers
from bench.workers.serialization import Packed, pack, unpack, unpack_batch
from bench.workers.streams import STREAMS, StreamedModel
from bench.workers.usage import Usage
from tasks.spec import ModelSpec, OptimizerSpec

_TASKS = Path("/proc/self/task")  # a folder for each thread


class Operations(Probes, Learns):
    """One backend, one model at a time. Every public method is an operation."""

    def __init__(self) -> None:
        super().__init__()
        self._backend: Backend
        self._device = "cpu"
        self._cores: frozenset[int] | None = None  # those it is bound to; None: not bound

    def start(self, *, backend: str, cores: list[int] | None) -> dict[str, Any]:
        """Bind this process to `cores`, and import the framework."""
        if cores is not None:
            self._cores = frozenset(cores)
            for thread in _thread_numbers():  # numpy is imported, and may have started some
                os.sched_setaffinity(thread, cores)
        return self.open(backend=backend)

    def open(self, *, backend: str) -> dict[str, Any]:
        """Import the framework, without binding the process to cores."""
        self._backend = registry.load(backend)
        begin = time.perf_counter()
        # Plain strings, because a framework's own string types do not pass between interpreters.
        versions = {str(name): str(number) for name, number in self._backend.versions().items()}
        seconds = time.perf_counter() - begin
        if versions and registry.find(backend).plugin:  # without any, the contract is broken
            from bench.records import provenance  # only where it is needed

            versions = versions | provenance.distribution(registry.GROUP, backend) | versions
        devices = [str(device) for device in self._backend.devices()]
        self._memory.imported()
        return {
            "versions": versions,
            "devices": devices,
            "import_seconds": seconds,
        }

    def build(
        self,
        *,
        spec: Packed,
        params: Packed,
        batches: list[Packed],
        device: str,
        dtype: str,
        optimizer: Packed | None,
        again: bool = False,
        feature: str = "",
    ) -> float:
        """Build the model and place the batches; return the seconds that building took.

        `feature` is "stream" if each batch is placed as a stream, "stateful" if train steps carry
        the state on.
        `again` marks a further build of one workload, whose memory counts from its first build on.
        """
        given, self._device = unpack(params), device
        # Kept for training alone, so that the harness adds no memory to other models.
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
        host = np.dtype("float64" if dtype == "float64" else "float32")
        wrapped: Any = {
            "stream": lambda model: StreamedModel(model, host),  # it has one more phase
            "stateful": CarriedModel,
        }
        if feature:
            self._model = wrapped[feature](self._model)
        self._place(batches)
        make = getattr(self._backend, "stopwatch", lambda _: None)
        self._stopwatch = make(device)
        self._settle()
        return seconds

    def build_gemm_baseline(self, *, spec: Packed, sequences: Sequence[int], dtype: str) -> None:
        """Build the workload's GEMM baseline as the model, for so many sequences at each step."""
        from bench.workers.gemm_baseline import GemmBaseline

        self._memory.begin()
        products: Any = GemmBaseline(ModelSpec(**spec), sequences, dtype)
        self._model = products  # it has the members that are timed
        self._batches, self._batch, self._stopwatch = [None], 0, None
        self._steps_of = [0]
        self._settle()

    def _place(self, batches: list[Packed]) -> None:
        given = [unpack_batch(batch) for batch in batches]
        model = self._built
        if isinstance(model, StreamedModel):
            given = given if len(given) > 1 else given * STREAMS
            self._host_inputs = [model.on_host(batch) for batch in given]
        self._steps_of = [batch.x.shape[1] for batch in given]
        self._batches = [self._built.place(batch) for batch in given]
        self._batch, self._looks = 0, SeenAnswers()

    def _settle(self) -> None:
        self._usage = Usage()
        gc.collect()
        gc.freeze()  # collections skip the objects that building created

    def answer(self, *, phase: str) -> tuple[float, Packed]:
        """Make one call; return its seconds and the result on the host."""
        begin = time.perf_counter()
        self._result = self._step(phase)
        seconds = time.perf_counter() - begin
        return seconds, pack(self._built.to_host(self._result))

    def last_answer(self) -> tuple[int, Packed]:
        """The number of the batch of the last timed step, and its result."""
        return self._batch, pack(self._built.to_host(self._result))

    def train(self, *, steps: int) -> tuple[list[float], Packed]:
        """The loss of each of `steps` updates, and the parameters and carried states after them."""
        losses, host = [], {}
        for _ in range(steps):
            self._result = self._step("train_step")
            host = dict(self._built.to_host(self._result))
            losses.append(float(host.pop("loss")))
        return losses, pack({**host, **self._built.params()})

    def renew(self, *, params: Packed, batch: Packed) -> None:
        """Load new parameters and place a new batch, with the same built model."""
        self._load(unpack(params))
        self._place([batch])

    def reload(self, *, params: Packed) -> None:
        """Load parameters; the placed batches stay."""
        self._load(unpack(params))

    def read_late(self, *, phase: str, params: Packed) -> Packed:
        """The result of a call, read after other parameters were loaded."""
        self._result = self._step(phase)
        self._built.load(unpack(params))
        return pack(self._on_host())

    def loaded(self, *, phase: str, params: Packed, others: list[Packed]) -> Packed:
        """The result for the present batch, after these steps.

        Place the `others`, load the parameters, and step through the others.
        """
        placed = [self._built.place(unpack_batch(other)) for other in others]
        self._built.load(unpack(params))
        for other in placed:
            self._built.sync(getattr(self._built, phase)(other))
        self._result = self._step(phase)
        return pack(self._built.to_host(self._result))

    def about(self) -> dict[str, Any]:
        """What ran, its threads, memory and CPU time; called after the last round."""
        self._expect_cores()
        peak_bytes = getattr(self._backend, "peak_bytes", lambda device: None)
        # Memory comes first: `path` may run another step under a profiler, whose memory belongs to
        # no workload.
        counted = self._memory.read() | {"peak_device_bytes": peak_bytes(self._device)}
        with self._memory.uncounted():
            path = str(self._built.path())
        return counted | {"path": path, "threads": self._threads()} | self._usage.read()

    def release(self) -> None:
        """Free the model."""
        self._model = self._result = self._stopwatch = self._held_out = None
        self._params, self._batches, self._host_inputs = {}, [], []
        gc.unfreeze()
        gc.collect()

    def _expect_cores(self) -> None:
        """Raise RuntimeError if a thread may run on other cores than it was bound to."""
        if self._cores is None:
            return
        for thread in _thread_numbers():
            try:
                found = os.sched_getaffinity(thread)
            except ProcessLookupError:
                continue  # it has ended
            if not found <= self._cores:
                raise RuntimeError(
                    f"a thread left its cores: expected {_listed(self._cores)}; "
                    f"found {_listed(found)}"
                )

    def _threads(self) -> str:
        """As found: "2 by the framework, openblas 2 with Zen kernels, pinned to 2 cores"."""
        parts = []
        own: Callable[[], int | None] = getattr(self._backend, "threads", lambda: None)
        count = own()
        if count is not None:
            parts.append(f"{count} by the framework")
        if find_spec("threadpoolctl") is not None:
            from threadpoolctl import threadpool_info

            pools = {
                (pool["internal_api"], pool["num_threads"], pool.get("architecture") or "")
                for pool in threadpool_info()
            }
            parts += [
                f"{api} {count}" + (f" with {kernel} kernels" if kernel else "")
                for api, count, kernel in sorted(pools)
            ]
        if hasattr(os, "sched_getaffinity"):
            count = len(os.sched_getaffinity(0))
            bound = "pinned to" if self._cores is not None else "not pinned, may use"
            parts.append(f"{bound} {count} core{'s' if count > 1 else ''}")
        if self._cores is None and _TASKS.exists():
            parts.append(f"{len(list(_TASKS.iterdir()))} in the whole process")
        return ", ".join(parts)


def _thread_numbers() -> list[int]:
    """The threads of this process; 0 is the calling one."""
    return [int(folder.name) for folder in _TASKS.iterdir()] if _TASKS.exists() else [0]


def _listed(cores: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(cores)))


def serve_worker(channel: Any, parent: int, log: str) -> None:
    registry.serve(channel, Operations(), parent, log)
