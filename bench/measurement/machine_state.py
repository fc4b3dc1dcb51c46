"""The state a machine is in while something is measured: who else works, clocks, heat."""

from __future__ import annotations

import importlib
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench.records import machine

# CPU time of others beyond this many cores' worth disturbs a block.
DISTURBING_CORES = 0.25
# What the system's counters may be off by over a block on two cores: two ticks of 10 ms. Each core
# is off by its own chance, so that it grows with the square root of their number.
TICKS_SECONDS = 0.020
TICKS_CORES = 2
STILL_SECONDS = 0.050  # of own CPU time in which counters that run must have moved


@dataclass
class Watch:
    """CPU time that others use on `cores` between `begin` and `others`; None: on all cores.

    Other guests of the same host are others too (steal).
    """

    cores: Sequence[int] | None = None
    _busy: float | None = field(default=None, init=False)
    _own: float = field(default=0.0, init=False)
    _begin: float = field(default=0.0, init=False)

    def begin(self) -> None:
        self._busy, self._own = self._count(), time.process_time()
        self._begin = time.perf_counter()

    def others(self, worker_seconds: float) -> tuple[float | None, float]:
        """CPU seconds that were neither the worker's nor this process', and the seconds passed.

        `worker_seconds` of CPU time were the worker's own. None where this system does not count.
        """
        passed = time.perf_counter() - self._begin
        own = time.process_time() - self._own + worker_seconds
        after = self._count()
        if self._busy is None or after is None:
            return None, passed
        if after == self._busy and own > STILL_SECONDS:
            return None, passed  # the counters stand still, as they do in some sandboxes
        return max(0.0, after - self._busy - own), passed

    def _count(self) -> float | None:
        try:
            return machine.busy_seconds(self.cores)
        except OSError:
            return None  # the report says that it is not known


def disturbing(others_seconds: float | None, passed: float, cores: int = TICKS_CORES) -> bool:
    """Is that much CPU time of others too much for a block of `passed` seconds on `cores`."""
    ticks = TICKS_SECONDS * max(1.0, math.sqrt(cores / TICKS_CORES))
    return others_seconds is not None and others_seconds > DISTURBING_CORES * passed + ticks


@dataclass(frozen=True)
class Clocks:
    """One look: None and empty where this system does not tell."""

    mhz: float | None = None
    gpu_celsius: float | None = None
    throttled: tuple[str, ...] = ()


def clocks(device: str, cores: Sequence[int] | None = None) -> Clocks:
    """Of `cores` for "cpu", all that may be used where it is None; of GPU N for "cuda:N"."""
    if device == "cpu":
        used = machine.available_cores() if cores is None else cores
        return Clocks(mhz=machine.clock_mhz(used))
    return _gpu(int(device.partition(":")[2] or 0))


def _gpu(index: int) -> Clocks:
    """Of the GPU that frameworks call `index`; empty where NVML does not tell."""
    try:
        pynvml = importlib.import_module("pynvml")
    except ImportError:
        return Clocks()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return Clocks()  # a container may hold CUDA without the library that tells of clocks
    try:
        gpu = _handle(pynvml, index)
        look = partial(_one_reading, pynvml.NVMLError, gpu)
        reasons = look(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons) or 0
        return Clocks(
            mhz=look(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_SM),
            gpu_celsius=look(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU),
            throttled=tuple(name for bit, name in THROTTLES.items() if int(reasons) & bit),
        )
    except (pynvml.NVMLError, ValueError):
        return Clocks()
    finally:
        pynvml.nvmlShutdown()


def _one_reading(
    error: type[Exception], gpu: Any, ask: Callable[..., float], *what: int
) -> float | None:
    """One number of a GPU; None where this one does not have it."""
    try:
        return float(ask(gpu, *what))
    except error:
        return None


def _handle(pynvml: Any, index: int) -> Any:
    """NVML counts all GPUs; a framework those that CUDA_VISIBLE_DEVICES leaves, in its order."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return pynvml.nvmlDeviceGetHandleByIndex(index)
    chosen = visible.split(",")[index].strip() if index < len(visible.split(",")) else ""
    if chosen.isdecimal():
        return pynvml.nvmlDeviceGetHandleByIndex(int(chosen))
    return pynvml.nvmlDeviceGetHandleByUUID(chosen)


# Bits of NVML's clocks-event reasons that mean a GPU runs slower than it could.
THROTTLES = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
